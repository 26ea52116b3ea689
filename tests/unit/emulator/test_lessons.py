"""The checks of lessons against the real application: what they read is what the service tells."""

from __future__ import annotations

from typing import Any

import pytest

from builders.rehearsal import Disk, Rehearsal
from cli.client import Client
from cli.commands.lesson import Service as Look
from emulator.lab.lessons.checks import Step, check
from emulator.lab.lessons.state import Begun
from emulator.storage import stamp


@pytest.fixture
def look(drive: Any) -> Look:
    return Look(Client("http://testserver/api", "root", "forgelet", drive.http._transport))


def begun(lesson: str) -> Begun:
    return Begun(lesson=lesson, since=stamp.now(), word="saddle-1")


def done(steps: list[Step]) -> list[bool]:
    return [step.done for step in steps]


def ended(drive: Any, path: str, body: dict[str, Any]) -> Any:
    """A request that begins a job, and the job's end."""
    made = drive.http.post(f"/api/{path}", json=body)
    assert made.status_code == 201, made.text
    told = made.json()
    assert drive.service.queue.wait(told.get("jobId") or told["dbId"], 10)
    return told


def built(drive: Any, target: str) -> Any:
    made = drive.build(drive.scan(target=target, overlay=True)).json()["images"]["image"][0]
    assert drive.service.queue.wait(made["jobId"], 10)
    return made


def test_a_first_migration_is_seen_step_by_step(drive: Any, look: Look, tasks: Any) -> None:
    lesson = begun("first-migration")
    assert done(check(lesson, look)) == [False, False, False, False]
    drive.scan("other", target="docker:other", overlay=True)
    drive.scan("simple", target="docker:lesson-web")
    assert done(check(lesson, look)) == [False, False, False, False]
    made = built(drive, "docker:lesson-web")
    assert done(check(lesson, look)) == [True, True, False, False]
    tasks.faithful = False
    ended(drive, f"users/root/images/{made['dbId']}/verifications", {})
    assert done(check(lesson, look)) == [True, True, False, False]
    tasks.faithful = True
    ended(drive, f"users/root/images/{made['dbId']}/verifications", {})
    assert done(check(lesson, look)) == [True, True, True, False]
    assert done(check(begun("first-migration"), look)) == [False, False, False, False]


def test_the_database_of_a_scan_is_held_against_the_one_inside(drive: Any, look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    lesson = begun("database")
    made = built(drive, "docker:lesson-office")
    assert look.seen({"uri": made["parentUri"]}, "/etc/nothing") == ""
    monkeypatch.setattr(look, "digest", lambda container, path: "abc")
    assert done(check(lesson, look)) == [True, False, False]
    monkeypatch.setattr(look, "seen", lambda scan, path: "abc")
    assert done(check(lesson, look)) == [True, True, True]


def test_the_size_is_the_rehearsals(drive: Any, look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    lesson = begun("blocked")
    made = built(drive, "docker:lesson-web")
    assert look.rehearse({"uri": made["parentUri"]}, "builders:\n- type: openstack\n  hardwareSettings: {memory: 1024}\n  installation: {diskSize: 500}\n")[0]["disk"] is None
    assert done(check(lesson, look, ["905"])) == [True, False, True]
    monkeypatch.setattr(look, "rehearse", lambda scan, text: [Rehearsal(builder=0, type="openstack", disk=Disk(asked=500, used=800, least=905)).model_dump(mode="json")])
    assert done(check(lesson, look, ["905"])) == [True, True, True]
    assert done(check(lesson, look, ["900"])) == [True, False, True]


def test_an_instance_counts_when_it_runs_and_is_of_the_lessons_image(drive: Any, look: Look) -> None:
    lesson = begun("provision")
    made = built(drive, "docker:lesson-web")
    assert done(check(lesson, look)) == [True, False, False]
    sent = ended(drive, f"{made['uri']}/pimages", {"xsiType": "PublishImageOpenStack", "credAccount": {"name": "local"}, "displayName": "web"})
    assert done(check(lesson, look)) == [True, True, False]
    ended(drive, f"users/root/pimages/{sent['dbId']}/deployments", {"name": "web-1", "flavor": "small"})
    assert done(check(lesson, look)) == [True, True, True]
