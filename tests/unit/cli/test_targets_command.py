"""`forgelet scan targets`, and the option that asks for volumes."""

from __future__ import annotations

import json

ANSWER = {
    "targets": {
        "target": [
            {"target": "docker:web", "kind": "docker", "name": "web", "state": "exited", "scannable": True, "way": "its layers", "reason": ""},
            {"target": "libvirt:vm", "kind": "libvirt", "name": "vm", "state": "paused", "scannable": False, "way": "", "reason": "it is paused"},
        ]
    },
    "unreachable": {"engine": [{"kind": "libvirt", "reason": "it does not answer", "hint": "start it"}]},
}


def test_the_table_has_the_words_that_scan_run_takes(fake, forgelet) -> None:
    fake.answers["GET /_forgelet/targets"] = ANSWER
    told = forgelet("scan", "targets")
    assert told.code == 0
    assert "| --docker web " in told.out and "its layers" in told.out
    assert "not now: it is paused" in told.out
    assert "Found 1 live systems" in told.out
    assert "it does not answer" in told.err and "start it" in told.err


def test_json_is_the_services_answer_alone(fake, forgelet) -> None:
    fake.answers["GET /_forgelet/targets"] = ANSWER
    assert json.loads(forgelet("scan", "targets", "-o", "json").out) == ANSWER


def test_volumes_are_asked_for_only_when_they_are_wanted(fake, forgelet) -> None:
    fake.mine("POST", "scannedinstances", (400, fake.error("no", 1)))
    forgelet("scan", "run", "--docker", "web", "--name", "x", "--volumes")
    forgelet("scan", "run", "--docker", "web", "--name", "x")
    assert [body.get("volumes") for _, body in fake.asked] == [True, None]
