"""Labels lead to live systems; this machine itself is one of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from scanner.errors import UserError
from scanner.targets import open_target, opened
from scanner.targets.access import Access
from scanner.targets.contract import CHECKS
from scanner.targets.local import LocalTarget


@pytest.mark.parametrize("label", ["local", "ssh:me@host:22", "ssh:root@[fe80::1]:2222", "libvirt:vm1", "docker:web", "directory:/srv"])
def test_a_label_leads_to_the_target_that_has_it(label):
    assert open_target(label).label == label


def test_a_port_that_is_left_out_is_in_the_label():
    assert open_target("ssh:me@host").label == "ssh:me@host:22"


@pytest.mark.parametrize("label", ["ssh:", "ssh:host", "local:x", "libvirt:", "me@host"])
def test_what_names_no_live_system_is_refused_with_the_grammar(label):
    with pytest.raises(UserError) as caught:
        open_target(label)
    assert "ssh:USER@HOST:PORT" in caught.value.hint


@pytest.mark.parametrize("label", ["local", "docker:web", "directory:/srv"])
def test_an_access_that_nothing_needs_is_refused(label):
    with pytest.raises(UserError, match="without a login"):
        open_target(label, Access(password="x"))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_this_machine_keeps_the_contract(check, machine, tmp_path):
    machine.file("/etc/hello", b"hello\n", 0o640)
    check(LocalTarget(machine.root, as_root=os.geteuid() == 0), tmp_path)


def test_a_target_is_closed_whatever_happens_where_it_can_be():
    class Door:
        label = "door:x"
        shut = False

        def close(self) -> None:
            self.shut = True

    door = Door()
    with pytest.raises(ZeroDivisionError), opened(door):  # type: ignore[arg-type]
        raise ZeroDivisionError
    assert door.shut
    with opened(LocalTarget(Path("/"))) as target:
        assert target.label == "local"
