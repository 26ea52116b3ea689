"""Who may ask, and how every kind of error is told."""

from __future__ import annotations

import base64

import pytest
from fastapi.testclient import TestClient

from cli.signing import Signed
from emulator.service import Service


def test_the_status_names_the_version_that_hammr_wants(http: TestClient) -> None:
    assert http.get("/api/status").json() == {"alive": True, "version": "3.8.13", "serviceLoad": 0}


@pytest.mark.parametrize(
    "header",
    [
        None,
        "Bearer x",
        "Basic",
        "Basic !!!",
        "Basic " + base64.b64encode(b"root").decode(),
        "Basic " + base64.b64encode(b"root:wrong").decode(),
        "Basic " + base64.b64encode(b"nobody:forgelet").decode(),
        "Basic " + base64.b64encode(b"\xff\xfe:x").decode(),
    ],
)
def test_without_the_right_credentials_nothing_is_told(http: TestClient, header: str | None) -> None:
    http.auth = None
    answer = http.get("/api/users/root", headers={"Authorization": header} if header else {})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Basic")
    assert answer.json()["uforgeError"]["code"] == "unauthorized"


def test_right_credentials_are_hashed_once_and_wrong_ones_stay_wrong(http: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    assert http.get("/api/status").status_code == 200
    monkeypatch.setattr("emulator.auth.matches", lambda *_: pytest.fail("hashed again"))
    assert http.get("/api/status").status_code == 200
    monkeypatch.setattr("emulator.auth.matches", lambda *_: False)
    assert http.get("/api/status", auth=("root", "guess")).status_code == 401
    assert http.get("/api/status", auth=("root", "guess")).status_code == 401


def test_another_users_resources_are_refused(http: TestClient) -> None:
    told = http.get("/api/users/alice/scannedinstances").json()["uforgeError"]
    assert (told["statusCode"], told["code"], told["exitCode"]) == (403, "forbidden", 1)


def test_the_user_is_shown_without_the_hash(http: TestClient) -> None:
    answer = http.get("/api/users/root")
    assert answer.json()["loginName"] == "root"
    assert "scrypt" not in answer.text


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/api/nope", 404), ("GET", "/", 404), ("PUT", "/api/status", 405)])
def test_unknown_routes_and_methods_answer_an_error_of_uforge(http: TestClient, method: str, path: str, status: int) -> None:
    answer = http.request(method, path)
    told = answer.json()["uforgeError"]
    assert (answer.status_code, told["statusCode"], told["requestMethod"], told["requestUri"]) == (status, status, method, path)
    assert told["localizedErrorMsg"]["message"]


def test_every_mistake_of_a_body_is_named_at_once(http: TestClient) -> None:
    answer = http.post("/api/users/root/scannedinstances", json={"nam": "x", "overlay": "perhaps"})
    places = {problem.partition(":")[0] for problem in answer.json()["uforgeError"]["problems"]}
    assert answer.status_code == 400
    assert places == {"name", "target", "overlay", "nam"}


def test_an_internal_fault_is_told_without_its_inside(http: TestClient) -> None:
    answer = http.post("/api/users/root/scannedinstances", json={"name": "x", "target": "docker:broken"})
    assert answer.status_code == 500
    assert answer.json()["uforgeError"]["exitCode"] == 5
    assert "secret internals" not in answer.text


def test_health_needs_no_login_and_says_why_something_lacks(http: TestClient) -> None:
    http.auth = None
    told = http.get("/_forgelet/health").json()
    assert told["ready"] is True
    assert told["capabilities"] == {"docker": {"ok": True}, "dib": {"ok": False, "reason": "missing programs: sfdisk"}}
    assert http.post("/_forgelet/reset").status_code == 401
    assert http.get("/_forgelet/jobs").status_code == 401


def test_a_changed_password_of_the_settings_counts_at_the_next_start(service: Service) -> None:
    from emulator.auth import seed
    from emulator.errors import Unauthorized

    header = "Basic " + base64.b64encode(b"root:forgelet").decode()
    assert service.authenticator.user(header).login == "root"
    seed(service.database, "root", "other")
    with pytest.raises(Unauthorized):
        service.authenticator.user(header)


def test_a_password_that_the_first_user_chose_stays_at_the_next_start(http: TestClient, service: Service) -> None:
    from emulator.auth import seed

    assert http.put("/_forgelet/users/root/password", json={"password": "mine"}).status_code == 204
    seed(service.database, "root", "forgelet")
    assert http.get("/api/users/root", auth=("root", "mine")).status_code == 200
    assert http.get("/api/users/root", auth=("root", "forgelet")).status_code == 401
    seed(service.database, "root", "other")
    assert http.get("/api/users/root", auth=("root", "other")).status_code == 200


def test_what_our_client_signs_the_service_knows(http: TestClient) -> None:
    made = http.post("/_forgelet/users/root/keys").json()
    http.auth = None
    signed = Signed(made["publicKey"], made["secretKey"], "/api")
    assert http.get("/api/users/root", auth=signed).json()["loginName"] == "root"
    assert http.get("/api/users/root/appliances", params={"query": "name=='a b+c%2F'"}, auth=signed).status_code == 200
    assert http.get("/_forgelet/jobs", auth=signed).status_code == 200
    assert http.get("/api/users/root", auth=Signed(made["publicKey"], "wrong", "/api")).status_code == 401
