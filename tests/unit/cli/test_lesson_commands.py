"""Lessons on the command line: what a learner is told, and what not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from emulator.lab.lessons import state
from emulator.lab.lessons.state import Begun

SCAN = {"dbId": 1, "target": "docker:lesson-web", "status": {"complete": True}, "created": "2026-02-01T00:00:00.000Z", "uri": "users/root/scannedinstances/1/scans/1"}


def groups(*scans: dict[str, Any]) -> dict[str, Any]:
    return {"scannedInstances": {"scannedInstance": [{"overlayIncluded": True, "scans": {"scan": [one]}} for one in scans]}}


@pytest.fixture(autouse=True)
def up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lesson `drift` is up, and two paths were changed."""
    monkeypatch.setenv("FORGELET_DATA", str(tmp_path))
    state.write(tmp_path, Begun(lesson="drift", since="2026-01-01T00:00:00.000Z", word="saddle-1", drifted=["/etc/secretly", "/srv/changed"]))


def test_a_check_says_what_is_missing_and_ends_with_4(forgelet: Any, fake: Any) -> None:
    fake.mine("GET", "scannedinstances", groups(SCAN))
    done = forgelet("lab", "check", "drift")
    assert done.code == 4
    assert "not yet; stuck: forgelet lab hint drift" in done.out
    assert "the answer is every path that was changed" in done.out
    assert "/etc/secretly" not in done.out


def test_a_check_ends_with_0_when_all_is_there(forgelet: Any, fake: Any) -> None:
    fake.mine("GET", "scannedinstances", groups(SCAN, {**SCAN, "dbId": 2, "target": "docker:lesson-web-2"}))
    done = forgelet("lab", "check", "drift", "--answer", "/etc/secretly", "--answer", "/srv/changed", "-o", "json")
    assert done.code == 0
    assert json.loads(done.out)["done"] is True


def test_a_lesson_that_is_not_up_cannot_be_checked_or_reset(forgelet: Any, fake: Any) -> None:
    for command in ("check", "reset"):
        done = forgelet("lab", command, "blocked")
        assert done.code == 1
        assert "the lesson 'blocked' is not up" in done.err
        assert "forgelet lab up blocked" in done.err


def test_a_guide_is_told_without_a_folder_of_documentation(forgelet: Any) -> None:
    told = forgelet("lab", "guide", "first-migration")
    assert told.code == 0 and told.out.startswith("# Lesson: your first migration")
    assert {"forgelet serve", "forgelet doctor"} <= {line.removeprefix("$ ") for line in told.out.splitlines()}
    assert json.loads(forgelet("lab", "guide", "drift", "-o", "json").out)["lesson"] == "drift"


def test_an_answer_to_a_lesson_that_asks_none_is_refused(forgelet: Any, fake: Any, tmp_path: Path) -> None:
    state.write(tmp_path, Begun(lesson="database", since="2026-01-01T00:00:00.000Z", word="saddle-1"))
    assert forgelet("lab", "check", "database", "--answer", "x").code == 1


def test_the_list_of_lessons_keeps_what_is_to_be_found_out(forgelet: Any, fake: Any) -> None:
    done = forgelet("lab", "list", "--lessons", "-o", "json")
    told = {one["name"]: one for one in json.loads(done.out)}
    assert told["drift"]["since"] and told["blocked"]["since"] is None
    assert "secretly" not in done.out


def test_a_service_that_does_not_answer_is_no_work_undone(forgelet: Any, fake: Any) -> None:
    fake.mine("GET", "scannedinstances", (503, fake.error("the service is busy", 3)))
    assert forgelet("lab", "check", "drift").code == 3
