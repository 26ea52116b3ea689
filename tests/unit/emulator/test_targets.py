"""What could be scanned now, as the service tells it."""

from __future__ import annotations

from typing import Any

import pytest

from emulator.resources.targets import service as engines
from scanner.errors import Unreachable


def row(kind: str, name: str, reason: str = "") -> engines.Row:
    return engines._row(kind, name, "running", "its processes", reason)


def silent() -> list[engines.Row]:
    raise Unreachable("libvirt does not answer", hint="start libvirtd")


def test_what_can_be_scanned_comes_first_and_a_silent_engine_hides_no_other() -> None:
    found, unreachable = engines.targets((("docker", lambda: [row("docker", "b"), row("docker", "a", "it is dead"), row("docker", "c")]), ("libvirt", silent)))
    assert [(one["target"], one["scannable"]) for one in found] == [("docker:b", True), ("docker:c", True), ("docker:a", False)]
    assert unreachable == [{"kind": "libvirt", "reason": "libvirt does not answer", "hint": "start libvirtd"}]


def test_a_broken_lister_is_not_taken_for_a_silent_engine() -> None:
    def broken() -> list[engines.Row]:
        raise KeyError("Names")

    with pytest.raises(KeyError):
        engines.targets((("docker", broken),))


class Domain:
    def __init__(self, name: str, state: int, agent: str) -> None:
        self._name, self._state, self._agent = name, state, agent

    def name(self) -> str:
        return self._name

    def state(self) -> tuple[int, int]:
        return self._state, 0

    def XMLDesc(self, _flags: int) -> str:
        return f"<domain><devices><channel><target name='org.qemu.guest_agent.0' state='{self._agent}'/></channel></devices></domain>"


@pytest.mark.parametrize(
    ("state", "agent", "scannable", "words"),
    [
        (1, "connected", True, "guest agent"),
        (1, "disconnected", False, "no guest agent"),
        (3, "connected", False, "paused"),
        (5, "", True, "disks"),
        (6, "", True, "disks"),
    ],
)
def test_a_domains_state_decides_how_it_is_read(state: int, agent: str, scannable: bool, words: str) -> None:
    told = engines._domain(Domain("vm", state, agent))
    assert (told["target"], told["scannable"]) == ("libvirt:vm", scannable)
    assert words in told["way"] + told["reason"]
    assert bool(told["way"]) != bool(told["reason"])


@pytest.mark.parametrize(("state", "scannable"), [("running", True), ("paused", True), ("exited", True), ("created", True), ("removing", False), ("dead", False)])
def test_a_container_can_be_scanned_unless_it_is_going(state: str, scannable: bool) -> None:
    assert engines._container("web", state)["scannable"] is scannable


def test_the_list_is_for_those_who_may_log_in(http: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "targets", lambda: ([row("docker", "web")], []))
    assert http.get("/_forgelet/targets").json() == {"targets": {"target": [row("docker", "web")]}, "unreachable": {"engine": []}}
    http.auth = ("root", "wrong")
    assert http.get("/_forgelet/targets").status_code == 401


def test_volumes_reach_the_job_and_are_refused_where_there_are_none(drive: Any, http: Any) -> None:
    scan = drive.scan(volumes=True)
    assert drive.service.ledger.get(scan["jobId"]).arguments["volumes"] is True
    answer = http.post("/api/users/root/scannedinstances", json={"name": "x", "target": "directory:/srv", "volumes": True})
    assert "volumes" in drive.error(answer, 400)["problems"][0]


def test_a_whole_scan_reaches_the_job_and_is_refused_without_overlay(drive: Any, http: Any) -> None:
    scan = drive.scan(overlay=True, whole=True)
    assert drive.service.ledger.get(scan["jobId"]).arguments["whole"] is True
    answer = http.post("/api/users/root/scannedinstances", json={"name": "x", "target": "docker:web", "whole": True})
    assert drive.error(answer, 400)["problems"][0].startswith("whole: ")
