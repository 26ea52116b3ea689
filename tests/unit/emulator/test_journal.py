"""The journal over HTTP: what is in it, what is not, who sees it, and what it costs."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import pytest
from fastapi.testclient import TestClient

from emulator.control.journal.recorder import LARGEST
from emulator.control.journal.watched import Watched

JOURNAL = "/_forgelet/journal"
ACCOUNTS = "/api/users/root/accounts"
ACCOUNT = {"name": "there", "targetPlatform": {"name": "openstack"}, "keystoneUrl": "http://127.0.0.1:1", "keystoneVersion": "v3", "glanceUrl": "http://127.0.0.1:1", "login": "x", "password": "hunter2"}


def entries(http: TestClient, **query: Any) -> list[dict[str, Any]]:
    answer = http.get(JOURNAL, params={"bodies": True, **query})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["journal"]["entry"]
    return found


def test_a_request_is_written_down_with_its_answer(http: TestClient) -> None:
    http.get("/api//users/root/images/?query=name==x", headers={"User-Agent": "me"})
    (entry,) = entries(http)
    assert (entry["kind"], entry["user"], entry["method"], entry["status"]) == ("request", "root", "GET", 200)
    assert entry["operation"] == "GET /api/users/{uid}/images"
    assert entry["headers"]["user-agent"] == "me"
    assert json.loads(entry["response"]["body"]) == {"images": {"image": []}}
    assert entry["response"]["whole"]
    assert entry["milliseconds"] > 0
    assert entries(http, kind="job") == []


def test_no_secret_is_in_it_wherever_it_was(http: TestClient, service: Any) -> None:
    http.post(ACCOUNTS, json=ACCOUNT)
    xml = '<ns1:credAccount xmlns:ns1="x"><name>other</name><login>x</login><password type="a">hunter2</password><keystoneVersion>v3</keystoneVersion></ns1:credAccount>'
    http.post(ACCOUNTS, content=xml, headers={"Content-Type": "application/xml"})
    http.post("/_forgelet/users", json={"login": "alice", "password": "hunter2"})
    made = http.post("/_forgelet/users/root/keys").json()
    http.get("/api/status", params={"apiKey": made["publicKey"], "signature": "hunter2"})
    http.get("/downloads/1/hunter2")
    text = "builders:\n- type: openstack\n  account: {name: a, password: hunter2}\n  secretKey: hunter2\n"
    http.post("/api/users/root/scannedinstances/1/scans/1/builds", json={"fileName": "b.yml", "text": text})
    http.post("/api/users/root/scannedinstances", json={"name": "x", "target": "ssh:me@host:22", "access": {"password": "hunter2", "identity": "hunter2"}})
    found = entries(http, kind="request")
    assert len(found) == 8
    service.journal.book.close()
    kept = b"".join(file.read_bytes() for file in service.folders.data.glob("journal.db*"))
    leaks = [one for one in found if "hunter2" in json.dumps(one)]
    assert leaks == []
    for secret in ("hunter2", made["secretKey"], made["publicKey"], "cm9vdDpmb3JnZWxldA"):
        assert secret.encode() not in kept
    assert found[0]["redacted"] == found[1]["redacted"] == ["password"]
    assert json.loads(found[0]["request"]["body"])["login"] == "x"
    assert found[0]["headers"]["authorization"] == "Basic root:***"
    assert service.folders.journal.stat().st_mode & 0o077 == 0


def test_what_jobs_did_is_in_it_and_outlives_a_reset(drive: Any) -> None:
    scan = drive.scan()
    assert [one["job"]["name"] for one in entries(drive.http, kind="job", job=scan["jobId"])] == ["queued", "running", "scan.inventory", "done"]
    drive.scan("second")
    assert drive.http.post("/_forgelet/reset").status_code == 200
    assert drive.scan("third")["jobId"] == 1
    names = [one["job"]["name"] for one in entries(drive.http, kind="job")]
    assert names == ["queued", "running", "scan.inventory", "done"] * 3


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"status": "4xx"}, ["/api/users/root/images/7"]),
        ({"status": "404"}, ["/api/users/root/images/7"]),
        ({"status": "5xx"}, []),
        ({"method": "post"}, [ACCOUNTS]),
        ({"path": "/api/users/*/images*"}, ["/api/users/root/images", "/api/users/root/images/7"]),
        ({"operation": "16"}, ["/api/users/root/images"]),
        ({"operation": "POST /users/{uid}/accounts"}, [ACCOUNTS]),
        ({"user": "nobody"}, []),
        ({"unread": True}, ["/api/users/root/images"]),
        ({"limit": 1}, ["/api/users/root/images/7"]),
        ({"after": 2}, ["/api/users/root/images/7"]),
    ],
)
def test_entries_are_filtered(http: TestClient, query: dict[str, Any], expected: list[str]) -> None:
    http.get("/api/users/root/images?nonsense=1")
    http.post(ACCOUNTS, json=ACCOUNT)
    http.get("/api/users/root/images/7")
    assert [one["path"] for one in entries(http, **query)] == expected


@pytest.mark.parametrize("query", [{"status": "6xx"}, {"status": "x"}, {"operation": "imags.index"}, {"limit": 0}, {"kind": "dream"}])
def test_a_filter_that_cannot_be_is_refused(drive: Any, query: dict[str, Any]) -> None:
    drive.error(drive.http.get(JOURNAL, params=query), 400)


def test_fields_that_nothing_read_are_told(drive: Any) -> None:
    scan = drive.scan(overlay=True)
    image = {"targetFormat": {"name": "OpenStack QCOW2", "dbId": 3}, "installProfile": {"diskSize": 2000}, "tag": "blue", "updateTools": True}
    assert drive.http.post(f"/api/{scan['uri']}/images?colour=red", json=image).status_code == 201
    (entry,) = entries(drive.http, method="POST", path="*/images")
    assert {"?colour", "tag", "updateTools", "targetFormat.dbId"} <= set(entry["unread"])
    assert not {"targetFormat", "targetFormat.name", "installProfile", "installProfile.diskSize"} & set(entry["unread"])


def test_reading_counts_however_it_is_done() -> None:
    data = {"a": 1, "b": {"c": 2, "d": [{"e": 3, "f": 4}]}, "g": 5}
    one = Watched(data)
    assert one["b"]["d"][0]["e"] == 3
    assert one.unread() == ["a", "b.c", "b.d[0].f", "g"]
    for read in (lambda d: {**d}, dict, lambda d: list(d.items()), lambda d: list(d.values()), lambda d: [d.pop(key) for key in list(d)]):
        flat = Watched({"a": 1, "g": 5})
        read(flat)
        assert flat.unread() == []
    assert json.loads(json.dumps(one)) == data


def test_others_see_what_is_theirs_and_cannot_clear_it(drive: Any) -> None:
    drive.http.post("/_forgelet/users", json={"login": "alice", "password": "secret"})
    alice = {"auth": ("alice", "secret")}
    drive.http.get("/api/users/alice/images", **alice)
    seen = drive.http.get(JOURNAL, **alice).json()["journal"]["entry"]
    assert [(one["user"], one["path"]) for one in seen] == [("alice", "/api/users/alice/images")]
    assert drive.http.get(JOURNAL, params={"user": "root"}, **alice).json()["journal"]["entry"] == seen
    drive.error(drive.http.get(f"{JOURNAL}/1", **alice), 404)
    drive.error(drive.http.delete(JOURNAL, **alice), 403)
    assert drive.http.delete(JOURNAL).status_code == 204
    assert entries(drive.http) == []


def test_a_long_body_is_not_kept(http: TestClient) -> None:
    http.post(ACCOUNTS, json={**ACCOUNT, "name": "n" * 2 * LARGEST})
    (entry,) = entries(http)
    assert not entry["request"]["whole"]
    assert entry["request"]["size"] > 2 * LARGEST
    assert entry["request"]["body"] == "" and "longer than" in entry["request"]["omitted"]


def test_the_requests_as_har(http: TestClient) -> None:
    http.post(ACCOUNTS, json=ACCOUNT)
    http.get("/api/users/root/images/7?x=1")
    told = http.get(f"{JOURNAL}/har").json()["log"]
    assert told["version"] == "1.2"
    first, second = told["entries"]
    assert first["request"]["postData"]["mimeType"] == "application/json"
    assert "***" in first["request"]["postData"]["text"]
    assert second["request"]["url"] == "http://testserver/api/users/root/images/7?x=1"
    assert second["request"]["queryString"] == [{"name": "x", "value": "1"}]
    assert (second["response"]["status"], second["response"]["statusText"]) == (404, "Not Found")


def test_a_fault_is_in_the_journal_too(http: TestClient) -> None:
    http.post("/_forgelet/faults", json={"operation": "16", "status": 507})
    http.get("/api/users/root/images")
    assert entries(http)[-1]["status"] == 507


def test_it_costs_a_request_next_to_nothing(http: TestClient, service: Any) -> None:
    """All that takes time is left to the journal's thread: while that is kept from writing, requests are answered as ever."""
    http.get("/api/users/root/images")
    service.journal.book.flush()
    with service.journal.book._lock:
        done = threading.Event()
        threading.Thread(target=lambda: (http.get("/api/users/root/images"), done.set()), daemon=True).start()
        assert done.wait(5)
    assert len(entries(http)) == 2


def test_only_so_many_entries_are_kept(service: Any, http: TestClient) -> None:
    service.journal.book._kept = 3
    for _ in range(5):
        http.get("/api/status")
        time.sleep(0)
    assert [one["id"] for one in entries(http)] == [3, 4, 5]


def test_an_entry_that_cannot_be_written_does_not_end_the_journal(drive: Any) -> None:
    drive.service.journal.book.put(lambda: {"kind": "request", "told": b"no JSON"})
    drive.http.get("/api/users/root")
    assert [one["path"] for one in entries(drive.http)] == ["/api/users/root"]
