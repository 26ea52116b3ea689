"""`forgelet journal` against the real service: followed live, exported, replayed against another service."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.service import Service

FORGELET = [sys.executable, "-m", "cli.main"]
SCANS = "/api/users/root/scannedinstances"


def forgelet(service: Any, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*FORGELET, "--url", f"{service.origin}/api", *words], capture_output=True, text=True, timeout=60)


@pytest.fixture
def other(tmp_path: Path) -> Any:
    made = Service(tmp_path / "other")
    yield made
    made.close()


def test_it_is_followed_live_by_the_command(service: Any, tree: Any) -> None:
    argv = [*FORGELET, "--url", f"{service.origin}/api", "journal", "follow", "--kind", "job", "-o", "json"]
    service.http.get(SCANS)
    before = service.http.get("/_forgelet/journal").json()["journal"]["entry"][-1]["id"]
    with subprocess.Popen([*argv, "--after", str(before)], stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}) as follower:
        assert follower.stdout
        scan = service.scan(tree)
        seen: list[str] = []
        while not seen or seen[-1] != "done":
            entry = json.loads(follower.stdout.readline())
            assert entry["job"]["dbId"] == scan["jobId"]
            seen.append(entry["job"]["name"])
        follower.send_signal(signal.SIGINT)
        assert follower.wait(20) == 130
    assert seen == ["queued", "running", "scan.inventory", "done"]


def test_a_follower_who_comes_back_goes_on_where_he_was_and_the_service_ends_under_him(service: Any) -> None:
    for _ in range(3):
        service.http.get("/api/status")
    with service.http.stream("GET", "/_forgelet/journal/events", headers={"Last-Event-ID": "2"}) as stream:
        lines = stream.iter_lines()
        assert next(line for line in lines if line.startswith("id: ")) == "id: 3"
        assert service.end(signal.SIGTERM) == 0
        # Ended by the service, or broken off by its end.
        with contextlib.suppress(httpx.TransportError):
            assert not [line for line in lines if line.startswith("id: ")]


def test_the_same_requests_get_the_same_answers_elsewhere_or_it_is_said(service: Any, other: Any, tree: Any, tmp_path: Path) -> None:
    service.ended(service.scan(tree)["jobId"])
    service.http.get(SCANS, params={"includeScans": True})
    service.http.get(f"{SCANS}/1/scans/1", headers={"Accept": "application/xml"})
    service.http.get("/api/users/root/images/7")
    service.http.post("/_forgelet/users", json={"login": "alice", "password": "secret"})
    har = tmp_path / "journal.har"
    assert forgelet(service, "journal", "export", "--har", str(har), "--path", "/api/*").returncode == 0
    assert "secret" not in har.read_text()
    same = forgelet(service, "journal", "replay", "--har", str(har), "--against", f"{other.origin}/api")
    assert same.returncode == 0, same.stdout + same.stderr
    assert same.stdout.startswith("4 of 4 answers are the same")
    again = forgelet(service, "journal", "replay", "--against", f"{other.origin}/api", "--path", "/api/*", "--patience", "0")
    assert again.returncode == 4, again.stdout + again.stderr
    assert "different  POST /api/users/root/scannedinstances: name: \"tree Scan #1\" was recorded, \"tree Scan #2\" came back" in again.stdout
    skipped = forgelet(service, "journal", "replay", "--against", f"{other.origin}/api", "--path", "/_forgelet/users")
    assert "not sent   POST /_forgelet/users: the journal keeps no secrets: password" in skipped.stdout


def test_it_is_listed_for_people_and_for_programs(service: Any) -> None:
    service.http.get("/api/users/root/images?nonsense=1")
    told = forgelet(service, "journal", "list", "--unread")
    assert "GET /api/users/root/images" in told.stdout
    assert "?nonsense" in told.stdout
    assert json.loads(forgelet(service, "journal", "list", "-o", "json").stdout)["journal"]["entry"]
    shown = forgelet(service, "journal", "show", "1")
    assert "response (application/json" in shown.stdout
