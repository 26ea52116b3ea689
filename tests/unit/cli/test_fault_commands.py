"""`forgelet fault`, and `-o yaml`."""

from __future__ import annotations

from typing import Any

import yaml

FAULT = {"dbId": 3, "user": "alice", "stage": "build.base", "operation": "", "action": "fail", "times": None, "every": 3, "skip": 1, "percent": 40, "after": None, "met": 4, "hits": 1}

WITHIN = {"scan.inventory": {"percent": [0, 100], "bytes": True}, "export.pack": {"percent": None, "bytes": False}}


def test_a_fault_is_set_as_it_was_asked_for(forgelet: Any, fake: Any) -> None:
    fake.answers["POST /_forgelet/faults"] = (201, FAULT)
    done = forgelet("fault", "set", "--stage", "build.base", "--every", "3", "--skip", "1", "--percent", "40")
    assert (done.code, done.out) == (0, "OK: fault 3: fail at build.base, at 40 %, not the first 1, 1 of 3, always\n")
    sent = fake.asked[-1][1]
    assert (sent["stage"], sent["every"], sent["skip"], sent["percent"]) == ("build.base", 3, 1, 40)
    assert not {"times", "after"} & sent.keys()


def test_faults_are_listed_with_their_hits_for_people_and_programs(forgelet: Any, fake: Any) -> None:
    fake.answers["GET /_forgelet/faults"] = {"faults": {"fault": [FAULT]}}
    told = forgelet("fault", "list")
    assert "| 3  | build.base | alice | fail   |" in told.out
    assert "Found 1 faults" in told.out
    assert yaml.safe_load(forgelet("fault", "list", "-o", "yaml").out) == {"faults": {"fault": [FAULT]}}
    assert forgelet("fault", "list", "-o", "json").out.startswith("{")


def test_faults_are_taken_away(forgelet: Any, fake: Any) -> None:
    fake.answers["DELETE /_forgelet/faults"] = ""
    fake.answers["DELETE /_forgelet/faults/3"] = ""
    assert forgelet("fault", "delete", "3").out == "OK: fault 3 is taken away\n"
    assert forgelet("fault", "delete").out == "OK: no faults are left\n"


def test_the_points_are_listed(forgelet: Any, fake: Any) -> None:
    fake.answers["GET /_forgelet/faults/points"] = {"stages": ["scan.inventory", "export.pack"], "within": WITHIN, "actions": {}, "operations": [{"name": "images.index", "operation": "GET /x", "numbers": [16]}]}
    told = forgelet("fault", "points").out
    assert "| scan.inventory | 0-100   | yes   |" in told
    assert "| export.pack    |         |       |" in told
    assert "images.index" in told


def test_what_is_not_utf8_passes_yaml(forgelet: Any, fake: Any) -> None:
    fake.answers["GET /_forgelet/faults"] = {"faults": {"fault": [{**FAULT, "stage": "\udcff"}]}}
    assert yaml.safe_load(forgelet("fault", "list", "-o", "yaml").out)["faults"]["fault"][0]["stage"] == "\udcff"
