"""Users, API keys, supervisor logins: over HTTP, with the real hashes and signatures."""

from __future__ import annotations

import base64
import hashlib
import hmac
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from emulator.errors import QuotaExceeded
from emulator.jobs.room import fits
from emulator.jobs.tasks import Assignment
from emulator.resources import uploads
from emulator.resources.quotas import service as quotas
from emulator.resources.users.tables import User


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


def at_once(tries: int, ask: Callable[[], int]) -> list[int]:
    """What so many that ask at the same moment get."""
    ready = threading.Barrier(tries)

    def go(_: int) -> int:
        ready.wait(30)
        return ask()

    with ThreadPoolExecutor(tries) as pool:
        return sorted(pool.map(go, range(tries)))


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has looked at a quota takes a while before he adds anything."""
    look = quotas.limit

    def limit(*asked: Any) -> int:
        found = look(*asked)
        time.sleep(0.02)
        return found

    monkeypatch.setattr(quotas, "limit", limit)


@pytest.mark.usefixtures("slow")
def test_a_quota_of_builds_holds_whoever_else_asks_at_the_same_moment(drive: Any) -> None:
    scan = drive.scan()
    drive.http.put("/_forgelet/users/root/quotas", json={"type": "generation", "limit": 1})
    assert at_once(6, lambda: int(drive.build(scan).status_code)) == [201] + [403] * 5
    assert len(drive.http.get("/api/users/root/images").json()["images"]["image"]) == 1


@pytest.mark.usefixtures("slow")
def test_a_quota_of_scans_holds_whoever_else_asks_at_the_same_moment(drive: Any) -> None:
    drive.http.put("/_forgelet/users/root/quotas", json={"type": "scan", "limit": 2})
    ask = {"name": "web", "target": "docker:web"}
    assert at_once(6, lambda: int(drive.http.post("/api/users/root/scannedinstances", json=ask).status_code)) == [201] * 2 + [403] * 4


def test_an_upload_ends_where_the_quota_of_bytes_does(drive: Any) -> None:
    drive.http.put("/_forgelet/users/root/quotas", json={"type": "diskusage", "limit": 1000})
    for way in ("imports", "bundleimports"):
        place = f"/api/users/root/{way}/{drive.http.post(f'/api/users/root/{way}').json()['dbId']}"
        told = drive.error(drive.http.post(f"{place}/uploads", content=bytes(5000)), 403)
        assert told["code"] == "quota"
        assert "5000" in told["localizedErrorMsg"]["message"]
    assert list(drive.service.folders.data.glob("*upload*/*")) == []


def test_an_upload_has_an_end(drive: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "LARGEST", 1000)
    place = drive.http.post("/api/users/root/imports").json()["uri"]
    assert drive.error(drive.http.post(f"/api/{place}/uploads", content=bytes(5000)), 413)["code"] == "too-large"


def test_what_a_job_made_must_fit(drive: Any, tmp_path: Path) -> None:
    scan = drive.scan()
    with drive.service.database.read() as session:
        user = session.get_one(User, 1)
    quotas.allow(drive.service.database, user, "diskusage", 200_000)
    (tmp_path / "made").mkdir()
    (tmp_path / "made/disk.raw").write_bytes(b"x" * 300_000)
    assert quotas.left(drive.service, user) > 0
    with pytest.raises(QuotaExceeded, match="with what was made"):
        quotas.fits(drive.service.folders, drive.service.database, user, tmp_path / "made")
    todo = Assignment(drive.service.ledger.get(scan["jobId"]), drive.service.folders, drive.service.database, None)  # type: ignore[arg-type]
    (todo.result / "disk.raw").write_bytes(b"x" * 300_000)
    with pytest.raises(QuotaExceeded):
        fits(todo)
