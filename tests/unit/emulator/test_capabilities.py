"""Capabilities are found out side by side, remembered, and a probe that hangs or breaks does no harm."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest

from emulator.control import capabilities
from emulator.control.capabilities import Capabilities, docker


def test_answers_are_remembered_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    now = [100.0]
    monkeypatch.setattr(capabilities.clock, "monotonic", lambda: now[0])
    found = Capabilities({"docker": lambda: str(asked.append(1) or "")})
    assert [found.all()["docker"]["ok"] for _ in range(3)] == [True, True, True]
    assert len(asked) == 1
    now[0] += capabilities.KEEP
    found.all()
    assert len(asked) == 2


def test_a_probe_that_hangs_is_said_to_and_is_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capabilities, "PATIENCE", 0.05)
    monkeypatch.setattr(capabilities, "KEEP", 0.0)
    release, asked = threading.Event(), []
    found = Capabilities({"libvirt": lambda: str(asked.append(1) or release.wait(5) or ""), "dib": lambda: ""})
    verdicts = [found.all() for _ in range(2)]
    release.set()
    assert all(verdict["dib"]["ok"] and not verdict["libvirt"]["ok"] for verdict in verdicts)
    assert len(asked) == 1


def test_a_probe_that_breaks_is_a_reason() -> None:
    def broken() -> str:
        raise RuntimeError("odd machine")

    assert Capabilities({"dib": broken}).all()["dib"] == {"ok": False, "reason": "the probe failed: odd machine"}


def test_no_machine_boots_without_libvirt() -> None:
    found = Capabilities({"libvirt": lambda: "libvirtd does not answer", "boot": lambda: ""}).all()
    assert found["boot"] == {"ok": False, "reason": "libvirtd does not answer"}


def test_a_docker_engine_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
    assert "/nonexistent/docker.sock" in docker()


def test_libvirt_is_there_when_something_listens_at_its_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "sock"
    monkeypatch.setattr(capabilities, "LIBVIRT_SOCKETS", (str(place),))
    assert str(place) in capabilities.libvirt()
    with socket.socket(socket.AF_UNIX) as daemon:
        daemon.bind(str(place))
        daemon.listen()
        assert capabilities.libvirt() == ""
    assert str(place) in capabilities.libvirt()
