"""Users, API keys, supervisor logins: over HTTP, with the real hashes and signatures."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any
from urllib.parse import quote

import pytest


@pytest.fixture
def alice(drive: Any) -> tuple[str, str]:
    made = drive.http.post("/_forgelet/users", json={"login": "alice", "password": "wonder:land", "email": "a@example.org"})
    assert made.status_code == 201, made.text
    return "alice", "wonder:land"


def sign(secret: str, target: str, base: str = "/api/") -> str:
    """As PROTOCOL 1.3 says that the real client does."""
    text = target.removeprefix(base).removeprefix("/")
    return f"{target}&signature={quote(base64.b64encode(hmac.new(secret.encode(), text.encode(), hashlib.sha1).digest()), safe='')}"


def test_a_new_user_logs_in_and_sees_his_own(drive: Any, alice: tuple[str, str]) -> None:
    drive.scan()
    assert drive.http.get("/api/users/alice", auth=alice).json()["email"] == "a@example.org"
    assert drive.http.get("/api/users/alice/scannedinstances", auth=alice).json()["scannedInstances"]["scannedInstance"] == []
    drive.error(drive.http.get("/api/users/root/scannedinstances", auth=alice), 403)


def test_passwords_are_hashed_at_rest(drive: Any, alice: tuple[str, str]) -> None:
    everything = b"".join(path.read_bytes() for path in drive.service.folders.data.rglob("*") if path.is_file())
    assert b"alice" in everything
    assert b"wonder:land" not in everything


def test_only_an_administrator_manages_users(drive: Any, alice: tuple[str, str]) -> None:
    drive.error(drive.http.post("/_forgelet/users", json={"login": "bob", "password": "x"}, auth=alice), 403)
    drive.error(drive.http.get("/_forgelet/users", auth=alice), 403)
    drive.error(drive.http.put("/_forgelet/users/root/password", json={"password": "x"}, auth=alice), 403)
    drive.error(drive.http.put("/_forgelet/users/alice/quotas", json={"type": "scan", "limit": -1}, auth=alice), 403)
    assert [one["loginName"] for one in drive.http.get("/_forgelet/users").json()["users"]["user"]] == ["root", "alice"]


def test_a_wrong_user_is_refused_with_every_mistake(drive: Any, alice: tuple[str, str]) -> None:
    told = drive.error(drive.http.post("/_forgelet/users", json={"login": "a\\b", "password": "", "email": "x\n"}), 400)
    assert [one.partition(":")[0] for one in told["problems"]] == ["login", "password", "email"]
    drive.error(drive.http.post("/_forgelet/users", json={"login": "alice", "password": "x"}), 409)


def test_a_new_password_counts_at_once(drive: Any, alice: tuple[str, str]) -> None:
    assert drive.http.put("/_forgelet/users/alice/password", json={"password": "new"}, auth=alice).status_code == 204
    drive.error(drive.http.get("/api/status", auth=alice), 401)
    assert drive.http.get("/api/status", auth=("alice", "new")).status_code == 200


def test_supervisor_logins(drive: Any, alice: tuple[str, str]) -> None:
    assert drive.http.get("/api/users/alice", auth=("root\\alice", "forgelet")).json()["loginName"] == "alice"
    drive.error(drive.http.get("/api/users/root", auth=("root\\alice", "forgelet")), 403)
    drive.error(drive.http.get("/api/users/root", auth=("alice\\root", "wonder:land")), 403)
    drive.error(drive.http.get("/api/users/alice", auth=("root\\alice", "wonder:land")), 401)
    drive.error(drive.http.get("/api/status", auth=("root\\nobody", "forgelet")), 403)


def test_api_keys(drive: Any, alice: tuple[str, str]) -> None:
    key = drive.http.post("/_forgelet/users/alice/keys", auth=alice).json()
    drive.http.auth = None

    def status(target: str) -> int:
        code: int = drive.http.get(f"http://testserver{target}").status_code
        return code

    asked = f"?name=a%20b%2Fc&apiKey={key['publicKey']}&includeScans=true"
    good = sign(key["secretKey"], f"/api/users/alice/scannedinstances{asked}")
    assert status(good) == 200
    assert status(sign(key["secretKey"], f"/api//users/alice/scannedinstances{asked}")) == 200
    assert status(good.replace("a%20b", "a%20c")) == 401
    assert status(sign("wrong", f"/api/users/alice?apiKey={key['publicKey']}")) == 401
    assert status(sign(key["secretKey"], f"/api/users/alice?apiKey={key['publicKey']}x")) == 401
    assert status(sign(key["secretKey"], f"/api/users/root?apiKey={key['publicKey']}")) == 403
    assert status("/api/users/alice?apiKey=x&signature=%FF&signature=") == 401
    assert status("/api/users/alice?apiKey=%00&signature=%C3") == 401


def test_secret_keys_are_told_once_sealed_and_revoked(drive: Any) -> None:
    key = drive.http.post("/_forgelet/users/root/keys").json()
    assert "secretKey" not in drive.http.get("/_forgelet/users/root/keys").json()["keys"]["key"][0]
    folders = drive.service.folders
    assert key["secretKey"].encode() not in b"".join(path.read_bytes() for path in folders.data.rglob("*") if path.is_file())
    assert folders.secrets_key.stat().st_mode & 0o777 == 0o600
    assert drive.http.delete(f"/_forgelet/users/root/keys/{key['dbId']}").status_code == 204
    drive.http.auth = None
    assert drive.http.get(sign(key["secretKey"], f"/api/status?apiKey={key['publicKey']}")).status_code == 401


def test_a_user_who_has_something_stays(drive: Any, alice: tuple[str, str]) -> None:
    made = drive.http.post("/api/users/alice/scannedinstances", json={"name": "web", "target": "docker:web"}, auth=alice).json()
    assert drive.service.queue.wait(made["jobId"], 10)
    assert "scanned instance" in drive.error(drive.http.delete("/_forgelet/users/alice"), 409)["localizedErrorMsg"]["message"]
    assert drive.http.delete("/api/users/alice/scannedinstances", auth=alice).status_code == 204
    assert drive.http.delete("/_forgelet/users/alice").status_code == 204
    drive.error(drive.http.get("/api/status", auth=alice), 401)
    drive.error(drive.http.delete("/_forgelet/users/root"), 409)


def quota(drive: Any, kind: str) -> dict[str, Any]:
    found = drive.http.get("/api/users/root/quotas").json()["quotas"]["quota"]
    return next(one for one in found if one["type"] == kind)


def test_quotas_are_counted(drive: Any) -> None:
    assert {quota(drive, kind)["limit"] for kind in ("appliance", "diskusage", "generation", "scan")} == {-1}
    drive.image()
    assert quota(drive, "scan")["nb"] == 1
    assert quota(drive, "generation")["nb"] == 1
    assert quota(drive, "diskusage")["nb"] > 0


@pytest.mark.parametrize(("kind", "limit"), [("scan", 1), ("diskusage", 1)])
def test_quotas_are_enforced_on_scans(drive: Any, kind: str, limit: int) -> None:
    assert drive.http.put("/_forgelet/users/root/quotas", json={"type": kind, "limit": limit}).status_code == 200
    drive.scan()
    told = drive.error(drive.http.post("/api/users/root/scannedinstances", json={"name": "two", "target": "docker:web"}), 403)
    assert told["code"] == "quota"
    assert len(drive.http.get("/api/users/root/scannedinstances").json()["scannedInstances"]["scannedInstance"]) == 1
    drive.http.put("/_forgelet/users/root/quotas", json={"type": kind, "limit": -1})
    drive.scan("two")


def test_quotas_are_enforced_on_builds(drive: Any) -> None:
    drive.http.put("/_forgelet/users/root/quotas", json={"type": "generation", "limit": 1})
    drive.image()
    drive.error(drive.build(drive.scan("other")), 403)
    assert len(drive.http.get("/api/users/root/images").json()["images"]["image"]) == 1


@pytest.mark.parametrize(("kind", "limit"), [("scan", 0), ("scan", -2), ("scans", 5), ("scan", 1 << 63)])
def test_wrong_quotas_are_refused(drive: Any, kind: str, limit: int) -> None:
    drive.error(drive.http.put("/_forgelet/users/root/quotas", json={"type": kind, "limit": limit}), 400)
