"""The SSH target over a connection that is a local shell: the real bundle, the real session, no sshd."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scanner.agent.session import LENGTH, MAGIC
from scanner.errors import ForgeletError, HostileInput, StepFailed, Unreachable, UserError
from scanner.progress import Silent
from scanner.scan import scan
from scanner.targets.access import Access, Place
from scanner.targets.contract import CHECKS
from scanner.targets.fakelink import FakeLink
from scanner.targets.session import Session
from scanner.targets.ssh import SshTarget

Reach = Callable[..., SshTarget]


@pytest.fixture
def drop(tmp_path: Path) -> Path:
    """Where the agent's file is put."""
    folder = tmp_path / "drop"
    folder.mkdir()
    return folder


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Puts shell scripts in front of the programs of the live system."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def put(**scripts: str) -> None:
        for name, script in scripts.items():
            (folder / name).write_text(f"#!/bin/sh\n{script}\n")
            (folder / name).chmod(0o755)

    return put


@pytest.fixture
def as_root(programs: Callable[..., None]) -> None:
    programs(id="echo 0")


@pytest.fixture
def reach(machine, drop) -> Any:
    """A target over the machine's tree; everything is hung up at the end."""
    made: list[SshTarget] = []

    def target(link: FakeLink | None = None, **access: object) -> SshTarget:
        links = [link or FakeLink()]
        # What comes after a lost connection is a good one.
        made.append(SshTarget("me@host", Access(**{"dir": str(drop), **access}), connect=lambda *_: links.pop() if links else FakeLink(), root=str(machine.root)))
        return made[-1]

    yield target
    for one in made:
        one.close()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_target_keeps_the_contract(check, as_root, reach, machine, tmp_path):
    machine.file("/etc/hello", b"hello\n", 0o640)
    check(reach(), tmp_path)


def test_a_whole_scan_is_one_command_and_leaves_nothing_there(as_root, reach, drop, machine, tmp_path):
    for number in range(300):
        machine.file(f"/srv/{number:03}", os.urandom(5000))
    link = FakeLink()
    report = scan(reach(link), tmp_path / "out", Silent(), choose=lambda report: lambda one: "overlay" if one.path.startswith("/srv/") else None)
    assert len(link.commands) == 1
    assert list(drop.iterdir()) == []
    assert (report.head.target, report.head.blind_spots) == ("ssh:me@host:22", [])


def test_the_report_is_the_one_of_a_look_from_outside(as_root, reach, machine, tmp_path):
    machine.package("tool", {"/usr/bin/tool": b"x"})
    there = scan(reach(), tmp_path / "there", Silent())
    assert there.head.digest == machine.scan().head.digest


def test_what_a_login_prints_before_the_agent_speaks_does_not_matter(as_root, reach, machine, programs):
    programs(sh='echo "Welcome to host"; exec /bin/sh "$@"')
    with reach().inventory([]) as stream:
        assert stream.readline().startswith(b'{"kind":"start"')


SUDO = r"""
while [ "$1" != -- ]; do case $1 in -p) prompt=$2; shift;; -n) quiet=1;; esac; shift; done
shift
[ "$quiet" ] && { echo "sudo: a password is required" >&2; exit 1; }
for try in 1 2 3; do
    printf '%s' "$prompt" >&2
    IFS= read -r given
    [ "$given" = "good secret" ] && exec "$@"
    echo "Sorry, try again." >&2
done
exit 1
"""


@pytest.mark.parametrize("name", ["password", "sudoPassword"])
def test_a_user_who_is_not_root_goes_through_sudo_with_his_password(programs, reach, drop, name):
    programs(id="echo 1000", sudo=SUDO)
    link = FakeLink()
    with reach(link, **{name: "good secret"}).inventory([]) as stream:
        assert stream.readline()
    assert "good secret" not in link.commands[0]


def test_a_sudo_that_does_not_ask_is_told_no_password(programs, reach, tmp_path):
    programs(id="echo 1000", sudo='while [ "$1" != -- ]; do shift; done; shift; exec "$@"')
    with reach(password="good secret").inventory([]) as stream:
        assert stream.readline().startswith(b'{"kind":"start"')


def test_a_wrong_password_for_sudo_is_its_own_error_and_leaves_nothing_there(programs, reach, drop):
    programs(id="echo 1000", sudo=SUDO)
    with pytest.raises(UserError, match="does not take the password of 'me'") as caught, reach(sudoPassword="bad secret").inventory([]):
        pass
    assert "--sudo-password" in caught.value.hint
    assert "bad secret" not in str(caught.value)
    assert list(drop.iterdir()) == []


REFUSALS = {
    "sudo wants a password": ({"id": "echo 1000", "sudo": SUDO}, "a password is required", "--sudo-password"),
    "no sudo": ({"id": "echo 1000", "sh": "exit 77"}, "there is no sudo", "--scan-login root"),
    "noexec": ({"sh": "echo noexec; exit 126"}, r"programs may not run in ", "--dir"),
    "no python": ({"sh": "echo 'uforge-scan: no usable Python 3.6 or newer is here'; exit 69"}, "no usable Python", "apt-get install python3"),
    "anything else": ({"sh": "echo 'This account is not available.'; exit 1"}, "status 1.: This account is not available", "ssh -p 22 me@host"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_every_way_not_to_start_is_its_own_error_with_the_next_step(programs, reach, drop, case):
    scripts, said, hint = REFUSALS[case]
    programs(**scripts)
    with pytest.raises(ForgeletError, match=said) as caught, reach().inventory([]):
        pass
    assert hint in caught.value.hint
    assert list(drop.iterdir()) == []


@pytest.mark.parametrize("cut", [0, 1, len(MAGIC) - 1, len(MAGIC), len(MAGIC) + 2, len(MAGIC) + 4, len(MAGIC) + 300])
def test_a_connection_that_is_lost_at_any_byte_is_one_clear_error(as_root, reach, drop, machine, tmp_path, cut):
    with pytest.raises(Unreachable, match="the connection to me@host:22 was lost") as caught:
        scan(reach(FakeLink(cut_after=cut)), tmp_path / "out", Silent())
    assert caught.value.hint
    assert list(drop.iterdir()) == []
    assert list((tmp_path / "out").iterdir()) == []


def test_after_a_failure_the_target_starts_afresh(as_root, machine, drop, tmp_path):
    links = [FakeLink(cut_after=200), FakeLink()]
    target = SshTarget("me@host", Access(dir=str(drop)), connect=lambda *_: links.pop(0), root=str(machine.root))
    with pytest.raises(Unreachable), target.inventory([]) as stream:
        stream.read()
    with target.inventory([]) as stream:
        assert b'"kind":"end"' in stream.read()
    target.close()


def test_a_root_that_is_not_there_is_said_by_the_agent(as_root, reach, machine):
    shutil.rmtree(machine.root)
    with pytest.raises(StepFailed, match="No such file"), reach().inventory([]) as stream:
        stream.read()


class Liar:
    """A pipe that says what it is told to."""

    def __init__(self, said: bytes, status: int | None = 0) -> None:
        self._said = said
        self._status = status

    def send(self, data: bytes) -> None: ...

    def receive(self, size: int) -> bytes:
        part, self._said = self._said[:size], self._said[size:]
        return part

    def status(self) -> int | None:
        return self._status

    def close(self) -> None: ...


def _piece(data: bytes) -> bytes:
    return LENGTH.pack(len(data)) + data


@pytest.mark.parametrize(
    "answer",
    [LENGTH.pack(1 << 31), _piece(b"") + _piece(b"no json"), _piece(b"") + _piece(b"[]"), _piece(b"") + LENGTH.pack(1 << 30)],
    ids=["a huge piece", "an end that is no JSON", "an end of another shape", "a huge end"],
)
def test_an_agent_that_lies_is_refused(answer):
    with pytest.raises(HostileInput), Session(Liar(answer), "host").ask([]) as stream:
        stream.read()


def test_an_agent_that_died_is_not_a_lost_connection():
    with pytest.raises(StepFailed, match="status 137"), Session(Liar(_piece(b"half"), 137), "host").ask([]) as stream:
        stream.read()


def test_what_talks_without_end_is_hung_up_on():
    with pytest.raises(HostileInput, match="without end"):
        Session(Liar(b"blah " * (1 << 16)), "host").greet()


def test_what_nobody_read_of_an_answer_does_not_spoil_the_next_one():
    session = Session(Liar((_piece(b"first") + _piece(b"") + _piece(b'{"error": ""}')) * 2), "host")
    with session.ask([]):
        pass
    with session.ask([]) as stream:
        assert stream.read() == b"first"


@pytest.mark.parametrize(
    ("text", "place", "known_as"),
    [
        ("root@web.example", Place("root", "web.example", 22), "web.example"),
        ("me@10.1.2.3:2222", Place("me", "10.1.2.3", 2222), "[10.1.2.3]:2222"),
        ("me@[::1]:2222", Place("me", "::1", 2222), "[::1]:2222"),
    ],
)
def test_places_are_read_and_written(text, place, known_as):
    assert Place.parse(text) == place
    assert Place.parse(str(place)) == place
    assert place.known_as == known_as


@pytest.mark.parametrize("text", ["", "host", "@host", "me@", "me@host:0", "me@host:70000", "me@host:ssh", "me@-oProxy", "a b@host", "me@host/x", "me@ho@st"])
def test_what_names_no_place_is_refused_with_the_grammar(text):
    with pytest.raises(UserError) as caught:
        Place.parse(text)
    assert "USER@HOST" in caught.value.hint


def test_secrets_are_never_shown_and_pass_the_pipe_whole():
    access = Access(password="hush1", identity="hush2", sudoPassword="hush3", jump="me@door")
    for shown in (repr(access), str(access), access.model_dump_json(), repr(access.model_dump())):
        assert "hush" not in shown
    assert Access.parse(access.revealed()) == access
    with pytest.raises(UserError) as caught:
        Access.parse('{"password": ["hush4"]}')
    assert "hush" not in repr(caught.value) and caught.value.__cause__ is None and caught.value.__suppress_context__
