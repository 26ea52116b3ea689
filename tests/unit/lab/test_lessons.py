"""Lessons: what they need is there, and each check sees what was done, and only that."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from emulator import local
from emulator.lab.lessons import state
from emulator.lab.lessons.checks import CHECKS, Step, check
from emulator.lab.lessons.lesson import lessons
from emulator.lab.lessons.state import Begun
from emulator.lab.system import system_names
from scanner.errors import NotFound

BEFORE, SINCE, AFTER = "2026-01-01T00:00:00.000Z", "2026-01-01T08:00:00.000Z", "2026-01-01T09:00:00.000Z"
DONE = {"complete": True}
WORD = "lantern-123"


class FakeLook:
    """A service with one of everything, all of it as the lessons want it; a test takes away or spoils one thing."""

    def __init__(self) -> None:
        base = "users/root/"
        self.scans = [self._scan(1, "lesson-web"), self._scan(2, "lesson-office"), self._scan(3, "lesson-web-2")]
        self.images = [
            {"dbId": 1, "uri": base + "images/1", "parentUri": self.scans[0]["uri"], "status": DONE, "created": AFTER, "installProfile": {"diskSize": 2000}},
            {"dbId": 2, "uri": base + "images/2", "parentUri": self.scans[1]["uri"], "status": DONE, "created": AFTER, "installProfile": {"diskSize": 2000}},
        ]
        self.overlay = True
        self.proof = {"scopes": {"files": {"unexplained": 0}}, "probes": [{"probe": "http://:80/", "equal": True}]}
        self.template = {"dbId": 1, "uri": base + "appliances/1", "fromScan": True, "created": AFTER}
        self.profile = {"timezone": "Pacific/Auckland", "welcomeMsg": f"hello {WORD}"}
        self.template_images = [{"status": DONE}]
        self.publication = {"dbId": 4, "imageUri": base + "images/1", "status": DONE}
        self.deployment = {"publication": 4, "state": "running"}
        self.inside = self.scanned = "abc"
        self.least = 905

    @staticmethod
    def _scan(number: int, container: str) -> dict[str, Any]:
        uri = f"users/root/scannedinstances/{number}/scans/{number}"
        return {"dbId": number, "target": f"docker:{container}", "status": dict(DONE), "created": AFTER, "uri": uri}

    def get(self, path: str) -> Any:
        groups = [{"overlayIncluded": self.overlay, "scans": {"scan": [one]}} for one in self.scans]
        return {
            "scannedinstances?includeScans=true": {"scannedInstances": {"scannedInstance": groups}},
            "images": {"images": {"image": self.images}},
            "images/1/verifications/last": self.proof,
            "appliances": {"appliances": {"appliance": [self.template]}},
            "appliances/1/installProfile": self.profile,
            "appliances/1/images": {"images": {"image": self.template_images}},
            "pimages": {"publishImages": {"publishImage": [self.publication]}},
            "deployments": {"deployments": {"deployment": [self.deployment]}},
        }[path]

    def rehearse(self, scan: dict[str, Any], text: str) -> list[dict[str, Any]]:
        assert "diskSize: 500" in text
        return [{"disk": {"asked": 500, "used": 800, "least": self.least}}]

    def seen(self, scan: dict[str, Any], path: str) -> str:
        return self.scanned

    def digest(self, container: str, path: str) -> str:
        return self.inside


ANSWERS = {"blocked": ["905"], "drift": ["/etc/a", "/etc/b"]}


def begun(name: str) -> Begun:
    return Begun(lesson=name, since=SINCE, word=WORD, drifted=["/etc/a", "/etc/b"] if name == "drift" else [])


def looked(name: str, look: FakeLook, answers: list[str] | None = None) -> list[Step]:
    return check(begun(name), look, ANSWERS.get(name, []) if answers is None else answers)


def test_each_lesson_has_live_systems_that_there_are_a_check_a_guide_and_hints() -> None:
    assert list(lessons()) == list(CHECKS)
    assert len(lessons()) >= 5
    for one in lessons().values():
        assert {stage.system for stage in one.stages} <= set(system_names())
        assert one.guide.startswith("# Lesson: ") and f"forgelet lab check {one.name}" in one.guide
        assert len(one.hints) >= 3
        assert one.task and one.minutes


@pytest.mark.parametrize("name", CHECKS)
def test_a_lesson_is_done_when_all_of_it_is_there(name: str) -> None:
    assert [step.what for step in looked(name, FakeLook()) if not step.done] == []


@pytest.mark.parametrize("name", CHECKS)
def test_nothing_is_done_in_an_empty_service(name: str) -> None:
    look = FakeLook()
    look.scans, look.images, look.proof, look.template_images = [], [], None, []
    look.template["fromScan"], look.publication["imageUri"], look.inside = False, "", ""
    steps = looked(name, look, [])
    assert [step for step in steps if step.done and "nobody changed" not in step.what] == []


@pytest.mark.parametrize("name", CHECKS)
def test_what_was_made_before_the_lesson_began_does_not_count(name: str) -> None:
    look = FakeLook()
    for one in (*look.scans, *look.images, look.template):
        one["created"] = BEFORE
    assert not all(step.done for step in looked(name, look))


SPOILT: list[tuple[str, str, Callable[[FakeLook], object]]] = [
    ("first-migration", "with its overlay", lambda look: setattr(look, "overlay", False)),
    ("first-migration", "an image of that scan", lambda look: look.images[0].update(status={"complete": False})),
    ("first-migration", "without unexplained", lambda look: setattr(look, "proof", None)),
    ("first-migration", "without unexplained", lambda look: look.proof["scopes"]["files"].update(unexplained=1)),
    ("first-migration", "without unexplained", lambda look: look.proof.update(scopes={})),
    ("first-migration", "port 80", lambda look: look.proof["probes"][0].update(equal=False)),
    ("first-migration", "port 80", lambda look: look.proof.update(probes=[])),
    ("database", "byte for byte", lambda look: setattr(look, "inside", "one order more")),
    ("database", "byte for byte", lambda look: setattr(look, "scanned", "")),
    ("database", "an image of such a scan", lambda look: look.images.pop()),
    ("edit-template", "a template of a scan", lambda look: look.template.update(fromScan=False)),
    ("edit-template", "time zone", lambda look: look.profile.update(timezone="Europe/Oslo")),
    ("edit-template", "welcome message", lambda look: look.profile.update(welcomeMsg="hello")),
    ("edit-template", "an image of that template", lambda look: look.template_images.clear()),
    ("blocked", "the size", lambda look: setattr(look, "least", 906)),
    ("blocked", "large enough", lambda look: look.images[0]["installProfile"].update(diskSize=500)),
    ("drift", "a finished scan of lesson-web-2", lambda look: look.scans.pop()),
    ("provision", "published", lambda look: look.publication.update(status={"complete": False})),
    ("provision", "published", lambda look: look.publication.update(imageUri="users/root/images/9")),
    ("provision", "an instance", lambda look: look.deployment.update(state="failed")),
    ("provision", "an instance", lambda look: look.deployment.update(publication=9)),
]


@pytest.mark.parametrize(("name", "missing", "spoil"), SPOILT)
def test_one_thing_that_is_missing_is_seen(name: str, missing: str, spoil: Callable[[FakeLook], object]) -> None:
    look = FakeLook()
    spoil(look)
    undone = [step.what for step in looked(name, look) if not step.done]
    assert undone and missing in undone[0]


@pytest.mark.parametrize("answers", [[], ["/etc/a"], ["/etc/a", "/etc/b", "/etc/c"], ["/etc/c"]])
def test_an_answer_that_lacks_a_path_or_names_one_too_many_is_wrong(answers: list[str]) -> None:
    assert not all(step.done for step in looked("drift", FakeLook(), answers))


def test_hints_come_one_after_the_other_and_begin_anew_with_the_lesson(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORGELET_DATA", str(tmp_path))
    state.write(tmp_path, begun("drift"))
    told = [local.lesson_hint("drift") for _ in range(4)]
    assert [one.partition(":")[0] for one in told] == ["1/3", "2/3", "3/3", "3/3"]
    state.write(tmp_path, begun("drift"))
    assert local.lesson_hint("drift") == told[0]


def test_a_lesson_that_there_is_not_is_named_with_those_that_there_are() -> None:
    with pytest.raises(NotFound, match=r"there is no lesson 'cooking'.*first-migration, database"):
        local.lesson("cooking")


