"""What the control plane says of itself, who may reach it, and a reset while everybody is busy."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from emulator.app import make_app
from emulator.control.guard import local
from emulator.routing import operations

SCANS = "/api/users/root/scannedinstances"


def test_versions_are_told_without_a_login(http: TestClient) -> None:
    http.auth = None
    told = http.get("/_forgelet/version").json()
    assert (told["uforge"], told["database"]) == ("3.8.13", "0002")
    assert told["forgelet"] == http.get("/_forgelet/health").json()["version"]


def test_settings_are_told_without_their_secrets_to_administrators(drive: Any) -> None:
    told = drive.http.get("/_forgelet/config")
    assert told.json()["settings"]["agent_wait"] == 60
    assert (told.json()["settings"]["password"], told.json()["settings"]["token"]) == ("***", "")
    drive.http.post("/_forgelet/users", json={"login": "alice", "password": "secret"})
    drive.error(drive.http.get("/_forgelet/config", auth=("alice", "secret")), 403)


def test_every_operation_of_the_control_plane_is_described(http: TestClient) -> None:
    http.auth = None
    told = http.get("/_forgelet/openapi.json").json()
    described = {f"{method.upper()} {path}" for path, methods in told["paths"].items() for method in methods}
    assert described == {one.text for one in operations().all if one.path.startswith("/_forgelet") and one.method != "HEAD"}
    page = http.get("/_forgelet/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "/_forgelet/snapshots/{name}/load" in page.text
    assert "http://" not in page.text and "https://" not in page.text


@pytest.fixture
def from_elsewhere(service: Any) -> Iterator[TestClient]:
    with TestClient(make_app(service), client=("192.0.2.7", 4711)) as http:
        http.auth = ("root", "forgelet")
        yield http


def test_other_machines_have_uforge_and_no_control_plane(from_elsewhere: TestClient) -> None:
    assert from_elsewhere.get(SCANS).status_code == 200
    for path in ("/_forgelet/jobs", "http://testserver//_forgelet/jobs", "/_forgelet/health", "/_forgelet"):
        answer = from_elsewhere.get(path)
        assert answer.status_code == 403
        assert "FORGELET_TOKEN" in answer.json()["uforgeError"]["hint"]
    assert from_elsewhere.get("/_forgelet/jobs", headers={"X-Forgelet-Token": ""}).status_code == 403


def test_a_token_opens_it(service: Any) -> None:
    service.settings.token = "sesame"
    with TestClient(make_app(service), client=("192.0.2.7", 4711)) as http:
        http.auth = ("root", "forgelet")
        assert http.get("/_forgelet/jobs").status_code == 403
        assert http.get("/_forgelet/jobs", headers={"X-Forgelet-Token": "wrong"}).status_code == 403
        assert http.get("/_forgelet/jobs", headers={"X-Forgelet-Token": "sesame"}).status_code == 200
        http.auth = None
        assert http.get("/_forgelet/jobs", headers={"X-Forgelet-Token": "sesame"}).status_code == 401
    kept = service.folders.journal.read_bytes()
    assert b"sesame" not in kept


@pytest.mark.parametrize(
    ("client", "here"),
    [(("127.0.0.1", 1), True), (("127.3.2.1", 1), True), (("::1", 1), True), (("::ffff:127.0.0.1", 1), True), (None, True), (("10.0.0.1", 1), False), (("::ffff:10.0.0.1", 1), False), (("fe80::1", 1), False)],
)
def test_which_clients_are_on_this_machine(client: Any, here: bool) -> None:
    assert local(client) is here


def test_a_reset_under_load_loses_no_request_that_came_after_it(drive: Any) -> None:
    """Four clients make scans all the time while a fifth resets: what was answered after a reset's answer is there at the end."""
    resets, stop = [0], threading.Event()
    made: list[tuple[int, int, str]] = []
    wrong: list[str] = []

    def load(number: int) -> None:
        count = 0
        while not stop.is_set() and count < 40:
            count += 1
            name, before = f"c{number}-{count}", resets[0]
            answer = drive.http.post(SCANS, json={"name": name, "target": "docker:web"})
            if answer.status_code == 201:
                made.append((before, answer.json()["dbId"], name))
            else:
                wrong.append(answer.text)

    clients = [threading.Thread(target=load, args=(number,)) for number in range(4)]
    for one in clients:
        one.start()
    for _ in range(5):
        assert drive.http.post("/_forgelet/reset").status_code == 200
        resets[0] += 1
    for one in clients:
        one.join(60)
    stop.set()
    there = {one["name"] for one in drive.http.get(SCANS).json()["scannedInstances"]["scannedInstance"]}
    after = {name for before, _, name in made if before == 5}
    assert wrong == []
    assert after
    assert after <= there
    for name in after:
        scans = drive.http.get(SCANS, params={"includeScans": True}).json()
        assert name in str(scans)
        break
