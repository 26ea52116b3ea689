"""Faults on purpose, over HTTP: at every stage of every job, and at operations."""

from __future__ import annotations

import ast
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from emulator.jobs import ledger
from emulator.jobs.inprocess import InProcessQueue
from emulator.jobs.outcome import Outcome, done
from emulator.jobs.stages import STAGES
from emulator.jobs.tasks import Assignment

FAULTS = "/_forgelet/faults"
IMAGES = "/api/users/root/images"
ROOT = Path(__file__).parents[3]


def ask(http: TestClient, **fault: Any) -> dict[str, Any]:
    answer = http.post(FAULTS, json=fault)
    assert answer.status_code == 201, answer.text
    told: dict[str, Any] = answer.json()
    return told


def hits(http: TestClient, fault: dict[str, Any]) -> tuple[int, int]:
    told = http.get(f"{FAULTS}/{fault['dbId']}").json()
    return told["met"], told["hits"]


class Walk:
    """Jobs of any kind that only go through the stages of their kind, carrying 20 MB in ten pieces in each, and remember how far they came."""

    def __init__(self, service: Any) -> None:
        self.service = service
        self.came: list[str] = []
        kinds = dict.fromkeys(stage.partition(".")[0] for stage in STAGES)
        service.queue = InProcessQueue(service.ledger, service.folders, dict.fromkeys(kinds, self._go))

    def _go(self, todo: Assignment) -> Outcome:
        for stage in STAGES:
            kind, _, name = stage.partition(".")
            if kind == todo.job.kind:
                self.came.append(stage)
                todo.progress.stage(name, "walking")
                for piece in range(1, 11):
                    todo.progress.moved(piece * 2_000_000)
                    todo.progress.update(piece * 10, f"{piece} pieces")
        return done("through")

    def run(self, kind: str) -> dict[str, Any]:
        self.came.clear()
        with self.service.database.write() as session:
            # Kinds that are to fill a row name one; that there is none does not matter here.
            named = {"appliance": 0, "bundle": 0, "image": 0, "scan": 0, "export": 0, "publication": 0, "deployment": 0, "account": "", "name": "", "version": "", "flavor": "", "target": "local"}
            job = ledger.create(session, 1, kind, "", named)
        self.service.queue.submit()
        assert self.service.queue.wait(job.id, 10)
        return dict(self.service.ledger.get(job.id))


@pytest.fixture
def walk(service: Any) -> Walk:
    return Walk(service)


@pytest.mark.parametrize("stage", STAGES)
def test_a_job_fails_at_the_stage_and_the_next_one_does_not(walk: Walk, http: TestClient, stage: str) -> None:
    http.get("/api/status")
    fault = ask(http, stage=stage, message="as the test wants")
    kind = stage.partition(".")[0]
    told = walk.run(kind)
    assert (told["state"], told["stage"], told["error"], told["error_code"], told["exit_code"]) == ("failed", stage, "as the test wants", "fault", 5)
    assert walk.came[-1] == stage
    assert walk.run(kind)["state"] == "done"
    assert hits(http, fault) == (1, 1)


def test_every_stage_that_a_job_can_enter_is_one_where_faults_can_be_set() -> None:
    said = set()
    for folder in ("builders", "emulator/jobs", "scanner"):
        for file in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "stage" and node.args and isinstance(node.args[0], ast.Constant):
                    said.add(node.args[0].value)
    assert said == {stage.partition(".")[2] for stage in STAGES}


@pytest.mark.parametrize(
    ("fault", "message", "code", "exit_code"),
    [
        ({"stage": "scan.inventory", "percent": 40, "action": "drop"}, "a fault was set at 40 % in stage scan.inventory: the connection is gone", "dropped", 3),
        ({"stage": "publish.upload", "after": "10 MB", "message": "Glance refuses: 413"}, "Glance refuses: 413", "fault", 5),
        ({"stage": "publish.upload", "after": 10_000_000}, "a fault was set at byte 10000000 of stage publish.upload", "fault", 5),
        ({"stage": "build.last-pass", "action": "disk-full"}, "there is no space left on the disk", "disk-full", 5),
    ],
)
def test_what_goes_wrong_within_a_stage(walk: Walk, http: TestClient, fault: dict[str, Any], message: str, code: str, exit_code: int) -> None:
    http.get("/api/status")
    made = ask(http, **fault)
    told = walk.run(fault["stage"].partition(".")[0])
    assert (told["state"], told["stage"], told["error"], told["error_code"], told["exit_code"]) == ("failed", fault["stage"], message, code, exit_code)
    assert told["hint"]
    if "percent" in fault:
        assert told["percent"] < 40
    assert hits(http, made) == (1, 1)


def test_a_users_fault_happens_to_his_own_calls_and_jobs_only(drive: Any) -> None:
    for login in ("alice", "bob"):
        drive.http.post("/_forgelet/users", json={"login": login, "password": "secret"})
    alice, bob, root = [{"auth": (login, "secret")} for login in ("alice", "bob")] + [{}]
    hers = drive.http.post(FAULTS, json={"operation": "16", "status": 503, "always": True}, **alice).json()
    everybodys = ask(drive.http, operation="17", status=502, always=True)
    assert (hers["user"], everybodys["user"]) == ("alice", None)
    for who, login, images in ((alice, "alice", 503), (bob, "bob", 200), (root, "root", 200)):
        assert drive.http.get(f"/api/users/{login}/images", **who).status_code == images
        assert drive.http.get(f"/api/users/{login}/pimages", **who).status_code == 502
    # As alice an administrator meets what is hers; who knows no password meets nothing of hers.
    assert drive.http.get("/api/users/alice/images", auth=("root\\alice", "forgelet")).status_code == 503
    assert drive.http.get("/api/users/alice/images", auth=("alice", "wrong")).status_code == 401
    assert hits(drive.http, hers) == (2, 2)

    drive.http.post(FAULTS, json={"stage": "scan.inventory", "always": True}, **alice)
    ended = [drive.http.post(f"/api/users/{login}/scannedinstances", json={"name": "x", "target": "docker:web"}, **who).json()["jobId"] for who, login in ((alice, "alice"), (bob, "bob"))]
    assert all(drive.service.queue.wait(job, 10) for job in ended)
    assert [drive.service.ledger.get(job).state for job in ended] == ["failed", "done"]


def test_nobody_takes_anothers_fault_away_but_an_administrator(drive: Any) -> None:
    for login in ("alice", "bob"):
        drive.http.post("/_forgelet/users", json={"login": login, "password": "secret"})
    alice, bob = {"auth": ("alice", "secret")}, {"auth": ("bob", "secret")}
    everybodys = ask(drive.http, operation="17", always=True)
    hers, his = (drive.http.post(FAULTS, json={"operation": "16", "always": True}, **who).json() for who in (alice, bob))

    def seen(**who: Any) -> list[int]:
        return [one["dbId"] for one in drive.http.get(FAULTS, **who).json()["faults"]["fault"]]

    assert (seen(**alice), seen()) == ([everybodys["dbId"], hers["dbId"]], [everybodys["dbId"], hers["dbId"], his["dbId"]])
    drive.error(drive.http.get(f"{FAULTS}/{his['dbId']}", **alice), 404)
    drive.error(drive.http.delete(f"{FAULTS}/{his['dbId']}", **alice), 404)
    drive.error(drive.http.delete(f"{FAULTS}/{everybodys['dbId']}", **alice), 403)
    assert drive.http.delete(FAULTS, **alice).status_code == 204
    assert seen() == [everybodys["dbId"], his["dbId"]]
    assert drive.http.post("/_forgelet/reset", params={"user": "bob"}, **bob).status_code == 200
    assert seen() == [everybodys["dbId"]]
    assert drive.http.delete(f"{FAULTS}/{everybodys['dbId']}").status_code == 204
    assert seen() == []


def test_a_point_that_is_never_reached_makes_no_fault(walk: Walk, http: TestClient) -> None:
    http.get("/api/status")
    made = ask(http, stage="publish.upload", after="21 MB")
    assert walk.run("publish")["state"] == "done"
    assert hits(http, made) == (0, 0)
    assert made["left"] == 1


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ({}, "x......."),
        ({"times": 3}, "xxx....."),
        ({"every": 3}, "..x..x.."),
        ({"every": 3, "times": 1}, "..x....."),
        ({"skip": 2, "times": 2}, "..xx...."),
        ({"skip": 1, "every": 2}, "..x.x.x."),
        ({"always": True}, "xxxxxxxx"),
    ],
)
def test_faults_count(walk: Walk, http: TestClient, when: dict[str, Any], expected: str) -> None:
    http.get("/api/status")
    at_stage = ask(http, stage="build.base", **when)
    at_operation = ask(http, operation="GET /users/{uid}/images", status=503, **when)
    assert "".join("x" if walk.run("build")["state"] == "failed" else "." for _ in expected) == expected
    assert "".join("x" if http.get(IMAGES).status_code == 503 else "." for _ in expected) == expected
    for fault in (at_stage, at_operation):
        assert hits(http, fault)[1] == expected.count("x")
    left = http.get(FAULTS).json()["faults"]["fault"]
    assert len(left) == (0 if when.get("times") or not when else 2)
    assert len(http.get(FAULTS, params={"spent": True}).json()["faults"]["fault"]) == 2


@pytest.mark.parametrize("operation", ["16", "#16", "images.index", "GET /users/{uid}/images", "GET /api/users/{whoever}/images"])
def test_an_operation_fails_in_uforges_own_words_by_any_of_its_names(http: TestClient, operation: str) -> None:
    fault = ask(http, operation=operation, status=507, message="the repository is full", times=2)
    told = http.get(IMAGES).json()["uforgeError"]
    assert (told["statusCode"], told["code"], told["localizedErrorMsg"]["message"]) == (507, "fault", "the repository is full")
    answer = http.get("/api//users/root/images/", headers={"Accept": "application/xml"})
    assert answer.status_code == 507
    assert answer.headers["content-type"] == "application/xml"
    assert b"uforgeError" in answer.content
    assert b"the repository is full" in answer.content
    assert http.get(IMAGES).status_code == 200
    assert hits(http, fault) == (2, 2)


def test_a_fault_at_one_operation_touches_no_other(http: TestClient) -> None:
    ask(http, operation="POST /users/{uid}/accounts", always=True)
    assert http.get("/api/users/root/accounts").status_code == 200
    assert http.get("/api/users/root/accounts/1").status_code == 200
    assert http.post("/api/users/root/accounts", json={}).json()["uforgeError"]["code"] == "fault"
    assert http.get("/_forgelet/health").status_code == 200


def test_an_operation_is_slow_and_still_answers(http: TestClient) -> None:
    http.get(IMAGES)
    ask(http, operation="16", action="slow", delay=0.3)
    began = time.monotonic()
    assert http.get(IMAGES).status_code == 200
    assert time.monotonic() - began >= 0.3


def test_faults_at_operations_outlive_the_service_and_end_with_a_reset(service: Any, http: TestClient) -> None:
    ask(http, operation="16", always=True)
    service.interferences.changed()
    assert http.get(IMAGES).status_code == 500
    assert http.post("/_forgelet/reset").status_code == 200
    assert http.get(IMAGES).status_code == 200


def test_one_fault_is_taken_away_and_the_others_stay(drive: Any) -> None:
    one, other = ask(drive.http, operation="16", always=True), ask(drive.http, operation="17", always=True)
    assert drive.http.delete(f"{FAULTS}/{one['dbId']}").status_code == 204
    assert drive.http.get(IMAGES).status_code == 200
    assert drive.http.get("/api/users/root/pimages").status_code == 500
    drive.error(drive.http.delete(f"{FAULTS}/{one['dbId']}"), 404)
    assert [fault["dbId"] for fault in drive.http.get(FAULTS).json()["faults"]["fault"]] == [other["dbId"]]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"stage": "build.lastpass"}, "build.last-pass"),
        ({"stage": "last-pas"}, "build.last-pass"),
        ({"operation": "images.indx"}, "images.index"),
        ({"operation": "GET /users/{uid}/imags"}, "GET /api/users/{uid}/images"),
        ({"operation": "88"}, "forgelet fault points"),
        ({"operation": "GET /_forgelet/faults"}, "nobody could take it away"),
        ({}, "a stage or an operation"),
        ({"stage": "build.base", "operation": "16"}, "not both"),
        ({"operation": "16", "action": "kill"}, "for stages of jobs"),
        ({"operation": "16", "percent": 4}, "for stages of jobs"),
        ({"stage": "build.base", "percent": 4, "after": 4}, "not both"),
        ({"stage": "build.base", "action": "slow"}, "delay"),
        ({"stage": "build.base", "percent": 101}, "percent"),
        ({"stage": "build.base", "after": "10 parsecs"}, "after"),
        ({"stage": "build.base", "every": 0}, "every"),
        ({"stage": "build.base", "often": 1}, "often"),
        ({"stage": "build.base", "percent": 40}, "at 8 to 18 %, never at 40 %"),
        ({"stage": "build.base", "percent": 82}, "it is there in build.convert"),
        ({"stage": "verify.boot", "percent": 6}, "at 5 %, never at 6 %"),
        ({"stage": "export.pack", "percent": 1}, "export.pack tells no percentage"),
        ({"stage": "scan.capture", "after": 1}, "scan.capture counts no bytes; these do: publish.upload"),
    ],
)
def test_a_fault_that_cannot_happen_is_refused_with_what_could(drive: Any, wrong: dict[str, Any], words: str) -> None:
    told = drive.error(drive.http.post(FAULTS, json=wrong), 400)
    assert words in " ".join([told["localizedErrorMsg"]["message"], told["hint"], *told["problems"]])
    assert drive.http.get(FAULTS, params={"spent": True}).json() == {"faults": {"fault": []}}


def test_all_points_are_told_with_uforges_numbers(http: TestClient) -> None:
    told = http.get(f"{FAULTS}/points").json()
    assert told["stages"] == list(STAGES)
    numbers = [number for one in told["operations"] for number in one["numbers"]]
    assert set(numbers) == set(range(1, 88)) - MISSING
    assert {"name": "images.index", "operation": "GET /api/users/{uid}/images", "numbers": [16]} in told["operations"]


MISSING: set[int] = set()
"""UForge's calls that the service has no route for."""


def test_a_scan_that_is_really_done_breaks_off_at_its_share(service: Any, tmp_path: Path, drive: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from emulator.jobs.tasks import TASKS
    from scanner.targets import open_target

    for number in range(3000):
        (tmp_path / f"{number}").touch()
    monkeypatch.setattr(service.rooms, "target", lambda label, access=None: open_target(label))
    service.queue = InProcessQueue(service.ledger, service.folders, TASKS)
    service.queue.start()
    ask(drive.http, stage="scan.inventory", percent=40, action="drop")
    runs: list[Callable[[], dict[str, Any]]] = [lambda: drive.scan(target=f"directory:{tmp_path}")] * 2
    first, second = (service.ledger.get(run()["jobId"]) for run in runs)
    assert (first.state, first.error_code) == ("failed", "dropped")
    assert second.state == "done"
