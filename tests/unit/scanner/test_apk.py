"""Machines of apk, from a fabricated database."""

from __future__ import annotations

import base64
import hashlib
import os

import pytest

UID, GID = os.getuid(), os.getgid()
OWNED = f"{UID}:{GID}"


def q1(data: bytes) -> str:
    return "Q1" + base64.b64encode(hashlib.sha1(data).digest()).decode()


@pytest.fixture
def alpine(machine):
    machine.at("/var/lib/dpkg/status").unlink()
    machine.file("/usr/bin/tool", b"binary", 0o755)
    machine.file("/etc/tool.conf", b"x=1\n")
    machine.at("/usr/bin/alias").symlink_to("tool")
    for folder in ("/usr/bin", "/etc", "/usr"):
        machine.at(folder).chmod(0o755)
    installed = f"""C:Q1abc=
P:tool
V:1.2-r3
A:x86_64
S:100
I:4096
T:A tool
o:tools
F:usr
M:{OWNED}:755
F:usr/bin
M:{OWNED}:755
R:tool
a:{OWNED}:755
Z:{q1(b"binary")}
R:alias
a:{OWNED}:777
Z:{q1(b"tool")}
R:gone
a:{OWNED}:644
Z:{q1(b"gone")}
F:etc
M:{OWNED}:755
R:tool.conf
a:{OWNED}:644
Z:{q1(chr(120).encode() + b"=1" + bytes([10]))}

P:helper
V:1
A:noarch

"""
    machine.file("/usr/lib/apk/db/installed", installed.encode())
    machine.file("/etc/apk/world", b"tool>1.0 other\n")
    return machine


def test_packages_are_told_with_version_and_marks(alpine):
    tool, helper = alpine.scan().head.packages
    assert (tool.manager, tool.name, tool.version, tool.arch, tool.source, tool.size, tool.auto) == ("apk", "tool", "1.2-r3", "x86_64", "tools", 4096, False)
    assert (helper.name, helper.auto) == ("helper", True)


def test_files_links_and_folders_as_shipped_are_managed(alpine):
    entries = alpine.entries()
    assert (entries["/usr/bin/tool"].state, entries["/usr/bin/tool"].reason, entries["/usr/bin/tool"].package) == ("managed", "digest-equal", "tool")
    assert (entries["/usr/bin/alias"].state, entries["/usr/bin/alias"].reason) == ("managed", "listed")
    assert (entries["/usr/bin"].state, entries["/usr/bin"].package) == ("managed", "tool")
    assert (entries["/usr/bin/gone"].state, entries["/usr/bin/gone"].package) == ("missing", "tool")
    assert entries["/etc/tool.conf"].state == "managed"


def test_changes_are_told_by_what_differs(alpine):
    alpine.file("/etc/tool.conf", b"x=2\n")
    alpine.file("/usr/bin/tool", b"patched", 0o755)
    alpine.at("/usr/bin/alias").unlink()
    alpine.at("/usr/bin/alias").symlink_to("other")
    alpine.at("/usr/bin").chmod(0o700)
    entries = alpine.entries()
    assert (entries["/etc/tool.conf"].state, entries["/etc/tool.conf"].reason) == ("conffile-changed", "conffile-digest")
    assert (entries["/usr/bin/tool"].state, entries["/usr/bin/tool"].reason) == ("managed-changed", "digest-differs")
    assert (entries["/usr/bin/alias"].state, entries["/usr/bin/alias"].reason) == ("managed-changed", "target-differs")
    assert (entries["/usr/bin"].reason, entries["/usr/bin"].expected) == ("mode-differs", {"mode": "0755"})


def test_a_mode_alone_is_a_change_and_a_folder_for_a_file_another(alpine):
    alpine.at("/etc/tool.conf").chmod(0o600)
    alpine.at("/usr/bin/tool").unlink()
    alpine.at("/usr/bin/tool").mkdir()
    entries = alpine.entries()
    assert (entries["/etc/tool.conf"].state, entries["/etc/tool.conf"].expected) == ("managed-changed", {"mode": "0644"})
    assert (entries["/usr/bin/tool"].state, entries["/usr/bin/tool"].reason) == ("managed-changed", "type-differs")
