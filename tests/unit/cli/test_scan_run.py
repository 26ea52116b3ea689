"""`forgelet scan run`: which live system, and what opens it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import typer

from cli.commands import run as command

SCAN = {"dbId": 149, "name": "s #1", "uri": "users/root/scannedinstances/133/scans/149", "jobId": 7}
LOCKED = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHI=\n-----END OPENSSH PRIVATE KEY-----\n"
OPEN = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmU=\n-----END OPENSSH PRIVATE KEY-----\n"


@pytest.fixture
def asked(fake: Any, forgelet: Any) -> Any:
    """Run with these words; the body that the service got."""
    fake.mine("POST", "scannedinstances", (201, SCAN))
    fake.mine("GET", "scannedinstances/133/scans/149/report", {"blind_spots": []})
    fake.job(7, "done")

    def body(*words: str) -> Any:
        result = forgelet("scan", "run", "--name", "s", *words)
        assert result.code == 0, result.err
        return next(body for key, body in fake.asked if key.startswith("POST"))

    return body


@pytest.mark.parametrize(
    ("words", "target"),
    [
        (["--docker", "web"], "docker:web"),
        (["--libvirt", "vm1"], "libvirt:vm1"),
        (["--local"], "local"),
        (["--root", "/srv/tree"], "directory:/srv/tree"),
        (["--ip", "10.0.0.5", "--scan-password", "x"], "ssh:root@10.0.0.5:22"),
        (["--ip", "host", "--scan-port", "2222", "--scan-login", "me", "--scan-password", "x"], "ssh:me@host:2222"),
        (["--ip", "::1", "--scan-password", "x"], "ssh:root@[::1]:22"),
    ],
)
def test_every_kind_of_live_system_has_its_label(asked: Any, words: list[str], target: str) -> None:
    assert asked(*words)["target"] == target


@pytest.mark.parametrize("words", [[], ["--docker", "a", "--local"], ["--ip", "a", "--root", "/"], ["--libvirt", "a", "--docker", "b"]])
def test_it_is_one_live_system(fake: Any, forgelet: Any, words: list[str]) -> None:
    result = forgelet("scan", "run", "--name", "s", *words)
    assert result.code == 1
    assert "--libvirt NAME, --ip HOST" in result.err
    assert fake.asked == []


@pytest.mark.parametrize("words", [["--scan-port", "2222"], ["--jump", "me@door"], ["--accept-new-host-key"], ["--dir", "/var/tmp"]])
def test_a_login_without_a_host_is_refused(fake: Any, forgelet: Any, words: list[str]) -> None:
    assert forgelet("scan", "run", "--name", "s", "--docker", "web", *words).code == 1
    assert fake.asked == []


def test_excludes_are_given_as_hammr_takes_them(asked: Any) -> None:
    words = ["--docker", "web", "-e", "/var/log", "/srv/big", "--overlay", "--exclude", "/a", "-e", "/b"]
    assert asked(*words)["exclude"] == ["/var/log", "/srv/big", "/a", "/b"]


def test_what_opens_the_host_travels_in_the_body(asked: Any, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(OPEN)
    words = ["--ip", "h", "--identity-file", str(tmp_path / "key"), "--sudo-password", "s", "--jump", "me@door:2222", "--jump-password", "j"]
    access = {"identity": OPEN, "sudoPassword": "s", "jump": "me@door:2222", "jumpPassword": "j", "acceptNewHostKey": True, "dir": "/var/tmp"}
    assert asked(*words, "--accept-new-host-key", "--dir", "/var/tmp")["access"] == access


def test_the_password_may_come_from_the_environment(asked: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORGELET_SCAN_PASSWORD", "from-there")
    assert asked("--ip", "h")["access"] == {"password": "from-there"}


def test_a_password_in_the_environment_does_not_disturb_other_scans(asked: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORGELET_SCAN_PASSWORD", "from-there")
    assert "access" not in asked("--docker", "web")


def test_without_password_and_key_the_password_is_asked_for(asked: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    prompts: list[str] = []

    def prompt(what: str, **options: Any) -> str:
        assert options["hide_input"] and options["err"]
        prompts.append(what)
        return "typed"

    monkeypatch.setattr(typer, "prompt", prompt)
    monkeypatch.setattr(command.sys.stdin, "isatty", lambda: True, raising=False)
    assert asked("--ip", "h", "--scan-login", "me")["access"] == {"password": "typed"}
    assert prompts == ["Password of me@h:22"]


def test_the_agent_needs_no_password(asked: Any) -> None:
    assert asked("--ip", "h", "--ssh-agent")["access"] == {"agent": True}


@pytest.mark.parametrize(("key", "locked"), [(LOCKED, True), (OPEN, False), ("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n", True), ("rubbish", False)])
def test_a_locked_key_is_known_by_its_file(key: str, locked: bool) -> None:
    assert command._locked(key) is locked


@pytest.mark.parametrize("words", [["--ip", "h"], ["--ip", "h", "--identity-file", "/nonexistent"]])
def test_with_nobody_to_ask_and_no_key_to_read_it_says_what_to_give(fake: Any, forgelet: Any, words: list[str]) -> None:
    result = forgelet("scan", "run", "--name", "s", *words)
    assert result.code == 1
    assert "--identity-file" in result.err
    assert fake.asked == []
