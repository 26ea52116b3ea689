"""Scans that hammr's agent reports: what the agent is told, and what hammr sees of it. The agent's requests are made by hand here."""

from __future__ import annotations

import hashlib
import hmac
import io
import os
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest
from fastapi.testclient import TestClient

from emulator.jobs.inprocess import InProcessQueue
from emulator.jobs.outcome import Outcome
from emulator.jobs.tasks import TASKS, Assignment
from emulator.resources.agents.tables import Download
from emulator.service import Service
from scanner.agent.__main__ import inventory as told
from scanner.agent.rules import Rules
from scanner.agent.tree import Root
from scanner.host import clock
from scanner.report import Report

SCANS = "/api/users/root/scannedinstances"
XML = {"Accept": "application/xml"}
FACTS = {"distribution": "Debian", "version": "12", "arch": "x86_64"}


class Agent:
    """One copy of the agent, as it speaks."""

    def __init__(self, http: TestClient) -> None:
        self.http = http
        answer = http.get("/resources/uforge-scan.bin", auth=None)  # type: ignore[arg-type]
        assert answer.status_code == 200 and int(answer.headers["content-length"]) == len(answer.content)
        stamp: dict[str, str] = {}
        with zipfile.ZipFile(io.BytesIO(answer.content)) as packed:
            exec(packed.read("scanner/agent/stamp.py"), stamp)
        self.number, self.key = stamp["AGENT"], stamp["KEY"]

    def prove(self, words: str) -> str:
        return hmac.new(bytes.fromhex(self.key), words.encode(), hashlib.sha256).hexdigest()

    def announce(self, name: str = "web", **more: Any) -> Any:
        body = {"agent": self.number, "name": name, "system": FACTS, "node": "web1", **more}
        answer = self.http.post("/api/agent/scans", json=body)
        if answer.status_code == 201:
            self.scan, self.token = answer.json()["scan"], {"Authorization": f"Bearer {answer.json()['token']}"}
        return answer

    def ask(self, method: str, path: str, **more: Any) -> Any:
        headers = {**self.token, **more.pop("headers", {})}
        return self.http.request(method, f"/api/agent/scans/{self.scan}/{path}", headers=headers, auth=None, **more)  # type: ignore[arg-type]

    def put(self, order: int, part: int, data: bytes, digest: str = "") -> Any:
        packed = zlib.compress(data)
        return self.ask("PUT", f"orders/{order}/parts/{part}", content=packed, headers={"X-Sha256": digest or hashlib.sha256(packed).hexdigest()})

    def end(self, order: int, parts: int, error: str = "") -> Any:
        return self.ask("POST", f"orders/{order}/end", json={"parts": parts, "error": error})


def inventory() -> bytes:
    """A small machine, in the agent's own words."""
    with tempfile.TemporaryDirectory() as tree:
        (Path(tree) / "etc").mkdir()
        (Path(tree) / "etc/hostname").write_text("web1\n")
        root, out = Root(os.fsencode(tree)), io.BytesIO()
        told(root, Rules([]), out)
        root.close()
    return out.getvalue()


@pytest.fixture
def real(service: Service) -> None:
    """Scans as they really are, instead of the fake ones of the other tests."""

    def scan(todo: Assignment) -> Outcome:
        return TASKS["scan"](todo)

    service.queue = InProcessQueue(service.ledger, service.folders, {"scan": scan})


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """A clock that stands until it is put forward; nobody really waits."""
    ahead = SimpleNamespace(seconds=0.0, slept=0.0)
    stood_now, stood_monotonic = clock.now(), clock.monotonic()

    def sleep(seconds: float) -> None:
        ahead.seconds += seconds
        ahead.slept += seconds

    from datetime import timedelta

    monkeypatch.setattr(clock, "now", lambda: stood_now + timedelta(seconds=ahead.seconds))
    monkeypatch.setattr(clock, "monotonic", lambda: stood_monotonic + ahead.seconds)
    monkeypatch.setattr(clock, "sleep", sleep)
    yield ahead


def listing(http: TestClient, name: str = "web") -> list[tuple[str, str]]:
    """What hammr sees: each scan's name with the first of its ends that is true, or `unfinished`."""
    answer = http.get(SCANS, params={"includeScans": "true", "name": name}, headers=XML)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/xml")
    seen = []
    for scan in ElementTree.fromstring(answer.content).iter("scan"):
        status = scan.find("status")
        assert status is not None and status.findtext("message") is not None
        ends = [end for end in ("complete", "error", "cancelled") if status.findtext(end) in ("true", "1")]
        seen.append((scan.findtext("name") or "", (ends or ["unfinished"])[0]))
    return seen


def test_the_service_proves_itself_to_every_copy_with_its_own_key(http):
    first, second = Agent(http), Agent(http)
    assert first.key != second.key
    answer = http.post("/api/agent/hello", json={"agent": first.number, "nonce": "n" * 16}, auth=None)
    assert answer.json() == {"proof": first.prove("service " + "n" * 16)}
    assert http.post("/api/agent/hello", json={"agent": "99", "nonce": "n" * 16}, auth=None).status_code == 404


def test_a_scan_reported_in_parts_is_stored_as_any_other(real, http, service):
    agent = Agent(http)
    answer = agent.announce(exclude=["/srv"])
    assert answer.status_code == 201, answer.text
    assert listing(http) == [("web Scan #1", "unfinished")]
    order = agent.ask("GET", "orders/1").json()
    words = order["arguments"]
    assert words[0] == "inventory" and words[words.index("--exclude") + 1] == "/srv"
    said = inventory()
    assert agent.put(1, 0, said[:50], digest="0" * 64).status_code == 503
    assert agent.put(1, 1, said[50:]).status_code == 409
    for _ in range(2):
        assert agent.put(1, 0, said[:50]).status_code == 204
    assert agent.put(1, 1, said[50:]).status_code == 204
    assert agent.end(1, 3).status_code == 400
    assert agent.end(1, 2).status_code == 204
    assert agent.ask("GET", "orders/2").json() == {"ended": "done"}
    assert agent.ask("GET", "orders/2").status_code == 401
    scan = http.get(f"{SCANS}/1/scans/1").json()
    assert scan["target"] == "agent:web1" and scan["status"]["complete"]
    report = Report(service.folders.scan(1))
    assert [entry.path for entry in report.files()] == ["/", "/etc", "/etc/hostname"]
    assert report.head.system.hostname == "web1"
    assert listing(http) == [("web Scan #1", "complete")]


@pytest.mark.parametrize(
    ("parts", "end", "said"),
    [
        ([b"{}\n"], "", "stream"),
        ([inventory()[:-30]], "", "stream"),
        ([inventory()[:60]], "OSError: no such disk", "no such disk"),
    ],
)
def test_what_an_agent_says_is_not_taken_on_trust(real, http, service, parts, end, said):
    agent = Agent(http)
    agent.announce()
    agent.ask("GET", "orders/1")
    for number, part in enumerate(parts):
        agent.put(1, number, part)
    agent.end(1, len(parts), end)
    assert agent.ask("GET", "orders/2").json() == {"ended": "failed"}
    job = http.get("/_forgelet/jobs/1").json()
    assert job["state"] == "failed" and job["error"] and (said == "stream" or said in job["error"])
    assert not service.folders.exchange(1).exists()


def test_a_part_that_is_no_zlib_stream_is_hostile(real, http, service):
    agent = Agent(http)
    agent.announce()
    agent.ask("GET", "orders/1")
    raw = b"not packed"
    agent.ask("PUT", "orders/1/parts/0", content=raw, headers={"X-Sha256": hashlib.sha256(raw).hexdigest()})
    assert service.queue.wait(1, 10)
    assert "zlib" in http.get("/_forgelet/jobs/1").json()["error"]


def test_an_agent_that_falls_silent_is_given_up(real, http, service):
    service.settings.agent_silence = 0.2
    agent = Agent(http)
    agent.announce()
    assert service.queue.wait(1, 10)
    assert http.get("/_forgelet/jobs/1").json()["code"] == "unreachable"
    assert agent.put(1, 0, b"late").status_code == 409


def test_a_cancelled_scan_ends_its_agent(real, http, service):
    agent = Agent(http)
    agent.announce()
    agent.ask("GET", "orders/1")
    assert http.delete("/_forgelet/jobs/1").status_code == 202
    # A cancel is seen at the next word of progress, which comes with the next lines.
    agent.put(1, 0, inventory())
    agent.end(1, 1)
    assert agent.ask("GET", "orders/2").json() == {"ended": "cancelled"}


def test_who_has_not_the_token_of_the_scan_is_refused(http):
    agent, other = Agent(http), Agent(http)
    agent.announce("one")
    other.announce("two")
    agent.scan, other.scan = other.scan, agent.scan
    for method, path in (("GET", "orders/1"), ("POST", "alive"), ("GET", "orders/1/paths")):
        assert agent.ask(method, path).status_code == 401
    assert agent.put(1, 0, b"x").status_code == 401


def test_announcing_needs_the_login(http):
    agent = Agent(http)
    http.auth = ("root", "wrong")
    assert agent.announce().status_code == 401


def test_the_group_says_what_machine_it_is_from_the_first_moment(http, service, tasks):
    tasks.gate.clear()
    Agent(http).announce()
    told = http.get(SCANS).json()["scannedInstances"]["scannedInstance"][0]
    tasks.gate.set()
    assert (told["distribution"]["name"], told["distribution"]["version"], told["distribution"]["arch"]) == ("Debian", "12", "x86_64")


def test_one_running_scan_a_name(http, tasks):
    tasks.gate.clear()
    assert Agent(http).announce().status_code == 201
    assert Agent(http).announce().status_code == 409
    assert Agent(http).announce("other").status_code == 201
    tasks.gate.set()


def test_a_scan_that_ended_unseen_is_first_shown_unfinished(http, service, now):
    """Else hammr, which takes the first unfinished scan, would ask for ever (PROTOCOL 5.3)."""
    Agent(http).announce()
    assert service.queue.wait(1, 10)
    assert http.get(SCANS, params={"includeScans": "true"}).json()["scannedInstances"]["scannedInstance"][0]["scans"]["scan"][0]["status"]["complete"]
    assert listing(http) == [("web Scan #1", "unfinished")]
    assert listing(http) == [("web Scan #1", "complete")]


def test_a_second_scan_is_seen_beside_the_first(http, service):
    for number in (1, 2):
        Agent(http).announce()
        assert service.queue.wait(number, 10)
        assert listing(http)[-1] == (f"web Scan #{number}", "unfinished")
        assert set(dict(listing(http)).values()) == {"complete"}


def test_a_listing_that_is_repeated_takes_its_time_while_all_are_finished(http, service, now):
    Agent(http).announce()
    assert service.queue.wait(1, 10)
    listing(http)
    now.seconds += 100
    listing(http)
    assert now.slept == 0
    listing(http)
    assert 0.8 < now.slept < 1.3
    assert http.get(SCANS, params={"name": "web"}).status_code == 200
    assert now.slept < 1.3, "who is not hammr never waits"


def test_an_agent_that_never_reports_ends_as_a_failed_scan_with_the_cause(http, service, now):
    assert listing(http) == []
    Agent(http)
    for _ in range(12):
        assert listing(http) == []
        now.seconds += 5
    assert listing(http) == [("web Scan #1", "unfinished")]
    scan = http.get(f"{SCANS}/1/scans/1", headers=XML).content.decode()
    assert "<error>true</error>" in scan and "http://testserver/api" in scan
    assert http.get(f"{SCANS}/1/scans/1").json()["status"]["errorMessage"].startswith("no agent has reported within 60 seconds")
    assert http.get("/_forgelet/jobs/1").json()["code"] == "never-reported"


def test_an_older_download_that_was_given_away_ends_no_newer_run(http, now):
    Agent(http)
    now.seconds += 120
    assert listing(http) == []
    Agent(http)
    for _ in range(5):
        assert listing(http) == []
        now.seconds += 5


def test_an_agent_that_says_why_ends_the_wait_at_once(http):
    listing(http)
    agent = Agent(http)
    answer = agent.announce(exclude=["srv"])
    assert answer.status_code == 400 and "'srv' is not an absolute path" in answer.text
    reason = "exclude: 'srv' is not an absolute path"
    assert http.post("/api/agent/gone", json={"agent": agent.number, "reason": reason, "proof": "00"}, auth=None).status_code == 400
    assert listing(http) == []
    assert http.post("/api/agent/gone", json={"agent": agent.number, "reason": reason, "proof": agent.prove("agent " + reason)}, auth=None).status_code == 200
    assert listing(http) == [("web Scan #1", "unfinished")]
    assert reason in http.get(f"{SCANS}/1/scans/1").json()["status"]["errorMessage"]
    assert agent.announce().status_code == 409, "it was given up"


def test_a_scan_that_never_was_binds_no_name_to_simple_or_overlay(http, service, now):
    listing(http)
    agent = Agent(http)
    http.post("/api/agent/gone", json={"agent": agent.number, "reason": "none", "proof": agent.prove("agent none")}, auth=None)
    assert listing(http) == [("web Scan #1", "unfinished")]
    answer = http.get(SCANS, params={"includeScans": "true", "name": "web"}, headers=XML).content.decode()
    assert "overlayIncluded" not in answer, "hammr refuses --overlay when it sees the group as a simple one"
    assert Agent(http).announce(overlay=True).status_code == 201
    assert http.get(f"{SCANS}/1").json()["overlayIncluded"]


def test_old_downloads_are_forgotten(http, service, now):
    Agent(http)
    now.seconds += 90_000
    Agent(http)
    with service.database.read() as session:
        from sqlmodel import select

        assert [one.id for one in session.exec(select(Download)).all()] == [2]


def test_the_migration_agent_is_the_same_program(http):
    answer = http.get("/resources/uforge-migrate.bin", auth=None)
    stamp: dict[str, str] = {}
    with zipfile.ZipFile(io.BytesIO(answer.content)) as packed:
        exec(packed.read("scanner/agent/stamp.py"), stamp)
    assert stamp["KIND"] == "migrate" and answer.content.startswith(b"#!/bin/sh")


def test_hammr_s_agent_of_a_supervisor_comes_with_the_pair_that_it_was_given(http):
    """alice's login with an administrator's password (PROTOCOL 5.3): for agents only."""
    assert http.post("/_forgelet/users", json={"login": "alice", "password": "wonder:land"}).status_code == 201
    agent = Agent(http)
    http.auth = ("alice", "forgelet")
    assert http.get("/api/agent/login").json() == {"login": "alice"}
    assert agent.announce().status_code == 201
    assert http.get("/api/users/alice/scannedinstances").status_code == 401
    http.auth = ("nobody", "forgelet")
    assert http.get("/api/agent/login").status_code == 403
    http.auth = ("root", "wonder:land")
    assert http.get("/api/agent/login").status_code == 401
    http.auth = ("alice", "wonder:land")
    assert [one["name"] for one in http.get("/api/users/alice/scannedinstances").json()["scannedInstances"]["scannedInstance"]] == ["web"]


def test_an_agent_s_scan_counts(http):
    assert http.put("/_forgelet/users/root/quotas", json={"type": "scan", "limit": 1}).status_code == 200
    assert Agent(http).announce("one").status_code == 201
    answer = Agent(http).announce("two")
    assert (answer.status_code, answer.json()["uforgeError"]["code"]) == (403, "quota")
    assert [one["name"] for one in http.get(SCANS).json()["scannedInstances"]["scannedInstance"]] == ["one"]
