"""Processes that read for the walk: the same inventory as without them, and nothing left behind."""

from __future__ import annotations

import io
import os
import resource
import signal
from pathlib import Path

import pytest

from scanner.agent.__main__ import inventory
from scanner.agent.readers import IN_FLIGHT, SLICE, Readers
from scanner.agent.rules import Rules
from scanner.agent.tree import Root


def _inventory(root: Path, readers: int) -> bytes:
    out = io.BytesIO()
    inventory(Root(os.fsencode(root)), Rules([(b"/srv/many/f7", "rule")]), out, readers=readers)
    return out.getvalue()


def _children() -> set[str]:
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


def test_processes_tell_what_one_process_tells(machine):
    machine.package("tool", {f"/usr/share/tool/f{number}": b"%d" % number for number in range(3 * SLICE)})
    for number in range(3 * SLICE):
        machine.file(f"/srv/many/f{number}", b"x" * number)
    machine.file("/srv/many/k\udcffey", b"-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA0123456789\n")
    machine.at("/srv/many/link").symlink_to("f1")
    os.link(machine.at("/srv/many/f1"), machine.at("/srv/many/again"))
    machine.at("/usr/share/tool/f5").unlink()
    machine.at("/usr/share/tool/f6").write_bytes(b"changed")
    before = _children()
    alone, helped = _inventory(machine.root, 0), _inventory(machine.root, 2)
    assert b'"secret":"private key"' in alone and b'"hardlink"' in alone and b'"missing"' in alone and b'"excluded"' in alone
    assert helped == alone
    assert _children() == before


def test_more_is_given_away_than_fits_without_anybody_waiting_for_ever(tmp_path):
    names = [f"{number:03}{'n' * 240}".encode() for number in range(SLICE)]
    folder = os.open(tmp_path, os.O_RDONLY)
    with Readers(2, lambda _folder, path, name: (path, name, b"x" * 4096)) as readers:
        batches = [readers.submit(folder, b"/" + b"p" * 4000, names) for _ in range(IN_FLIGHT * 5)]
        told = [[batch.answer(index) for index in range(SLICE)] for batch in batches]
    assert all([answer[1] for answer in one] == names for one in told)
    os.close(folder)


def test_a_reader_that_is_killed_ends_the_scan_and_not_in_silence(tmp_path):
    folder = os.open(tmp_path, os.O_RDONLY)

    def end(_folder: int, _path: bytes, _name: bytes) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    with Readers(1, end) as readers:
        batch = readers.submit(folder, b"/", [b"a"])
        with pytest.raises(OSError, match="has ended"):
            batch.answer(0)
    os.close(folder)


def test_a_walk_that_is_given_up_leaves_no_process(machine):
    for number in range(3000):
        machine.file(f"/srv/f{number}")
    before = _children()

    class Full(io.BytesIO):
        def write(self, data: object) -> int:
            if b"/srv/f9" in bytes(data):  # type: ignore[call-overload]
                raise BrokenPipeError
            return 0

    with pytest.raises(BrokenPipeError):
        inventory(Root(os.fsencode(machine.root)), Rules([]), Full(), readers=2)
    assert _children() == before


@pytest.fixture
def many_descriptors():
    """More open ones than select(2) can name."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4096)), hard))
    held = [os.open("/dev/null", os.O_RDONLY) for _ in range(1100)]
    yield
    for number in held:
        os.close(number)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_any_number_of_open_descriptors_will_do(many_descriptors, machine):
    for number in range(SLICE):
        machine.file(f"/srv/many/f{number}", b"x" * number)
    assert _inventory(machine.root, 2) == _inventory(machine.root, 0)
