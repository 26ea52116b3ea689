"""The last pass as root: owners, devices, capabilities and ACLs, in a process of its own as a build runs it."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from unit.builders.conftest import plan_of, planned

from builders.capture import pick
from scanner.report import Report

from .conftest import Machine

pytestmark = pytest.mark.dib

CAPABILITY = bytes.fromhex("0100000200200000000000000000000000000000")
"""cap_net_raw+ep as the kernel stores it (revision 2)."""
ACL = bytes.fromhex("02000000 01000600ffffffff 0200060021000000 04000400ffffffff 10000600ffffffff 20000400ffffffff")
"""user::rw-, user:33:rw-, group::r--, mask::rw-, other::r-- as acl(5) is stored."""


@pytest.fixture
def source(make_machine: Callable[[str], Machine]) -> Machine:
    machine = make_machine("source")
    machine.package("nginx", {"/usr/sbin/nginx": b"binary", "/usr/bin/ping": b"binary"})
    os.chown(machine.at("/usr/sbin/nginx"), 0, 33)
    machine.at("/usr/sbin/nginx").chmod(0o2755)
    os.setxattr(machine.at("/usr/bin/ping"), "security.capability", CAPABILITY)
    machine.file("/etc/passwd", b"root:x:0:0:root:/root:/bin/sh\napp:x:105:110::/srv:/bin/sh\n")
    machine.file("/etc/group", b"root:x:0:\napp:x:110:\n")
    machine.file("/etc/shadow", b"root:*:1::::::\napp:*:1::::::\n", 0o640)
    os.chown(machine.at("/etc/shadow"), 0, 42)
    machine.file("/etc/gshadow", b"root:*::\napp:!::\n", 0o640)
    machine.file("/srv/setuid", b"x", 0o4750)
    os.chown(machine.at("/srv/setuid"), 105, 110)
    machine.at("/srv/setuid").chmod(0o4750)
    machine.file("/srv/acl", b"x")
    os.setxattr(machine.at("/srv/acl"), "system.posix_acl_access", ACL)
    os.mknod(machine.at("/srv/node"), 0o620 | stat.S_IFCHR, os.makedev(1, 3))
    machine.at("/srv/link").symlink_to("setuid")
    os.chown(machine.at("/srv/link"), 105, 110, follow_symlinks=False)
    return machine


@pytest.fixture
def base(make_machine: Callable[[str], Machine]) -> Machine:
    machine = make_machine("base")
    machine.package("nginx", {"/usr/sbin/nginx": b"binary", "/usr/bin/ping": b"binary"})
    machine.package("cloud", {"/usr/bin/cloud": b"added", "/usr/bin/cloud-setuid": b"added", "/usr/share/cloud/link": b""})
    machine.at("/usr/share/cloud/link").unlink()
    machine.at("/usr/share/cloud/link").symlink_to("/etc/passwd")
    machine.file("/etc/passwd", b"root:x:0:0:root:/root:/bin/sh\ncloudd:x:105:110::/:/bin/false\n")
    machine.file("/etc/group", b"root:x:0:\ncloudd:x:110:\n")
    machine.file("/etc/shadow", b"root:*:1::::::\ncloudd:!:1::::::\n", 0o640)
    machine.file("/etc/gshadow", b"root:*::\ncloudd:!::\n", 0o640)
    for path in ("/usr/bin/cloud", "/usr/bin/cloud-setuid", "/usr/share/cloud", "/usr/share/cloud/link"):
        os.chown(machine.at(path), 105, 110, follow_symlinks=False)
    machine.at("/usr/bin/cloud-setuid").chmod(0o6755)
    machine.at("/var/lib/apt").mkdir()
    machine.at("/var/log").mkdir()
    return machine


@pytest.fixture
def outcome(source: Machine, base: Machine, tmp_path: Path) -> dict[str, object]:
    """The pass as the platform runs it."""
    report: Report = source.scan(choose=lambda report: lambda entry: pick(entry, set()))
    (tmp_path / "plan.json").write_text(plan_of(planned("nginx"), additions=["cloud"]).model_dump_json())
    (tmp_path / "dpkg.log").write_text("installed\n")
    job = {"root": base.root, "scan": report.folder, "plan": tmp_path / "plan.json", "build_log": tmp_path / "dpkg.log", "added": ["cloud"]}
    (tmp_path / "job.json").write_text(json.dumps(job, default=str))
    done = subprocess.run([sys.executable, "-m", "builders.lastpass", tmp_path / "job.json"], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    found: dict[str, object] = json.loads(done.stdout)
    return found


def owner(machine: Machine, path: str) -> tuple[int, int]:
    info = machine.at(path).lstat()
    return info.st_uid, info.st_gid


@pytest.mark.usefixtures("outcome")
def test_owners_set_id_bits_capabilities_and_acls_are_the_sources(source: Machine, base: Machine) -> None:
    for path in ("/srv/setuid", "/srv/acl", "/srv/node", "/srv/link", "/usr/sbin/nginx", "/usr/bin/ping", "/etc/shadow"):
        ours, theirs = source.at(path).lstat(), base.at(path).lstat()
        assert (theirs.st_mode, theirs.st_uid, theirs.st_gid, theirs.st_rdev, theirs.st_mtime_ns if "etc" not in path else 0) == (
            ours.st_mode,
            ours.st_uid,
            ours.st_gid,
            ours.st_rdev,
            ours.st_mtime_ns if "etc" not in path else 0,
        ), path
    assert os.getxattr(base.at("/usr/bin/ping"), "security.capability") == CAPABILITY
    assert os.getxattr(base.at("/srv/acl"), "system.posix_acl_access") == ACL


def test_files_of_an_added_package_follow_the_account_that_had_to_move(base: Machine, outcome: dict[str, object]) -> None:
    row = next(line for line in base.at("/etc/passwd").read_text().splitlines() if line.startswith("cloudd:")).split(":")
    moved = (int(row[2]), int(row[3]))
    assert moved[0] not in (0, 105)
    assert moved[1] not in (0, 110)
    for path in ("/usr/bin/cloud", "/usr/bin/cloud-setuid", "/usr/share/cloud", "/usr/share/cloud/link"):
        assert owner(base, path) == moved, path
    assert stat.S_IMODE(base.at("/usr/bin/cloud-setuid").stat().st_mode) == 0o6755
    assert outcome["moved"] == 4
    assert owner(base, "/srv/setuid") == (105, 110)


def test_the_outcome_is_one_json_line_that_names_nothing_lacking(outcome: dict[str, object]) -> None:
    assert outcome["lacking"] == []
    assert isinstance(outcome["set"], int) and outcome["set"] > 20


@pytest.mark.usefixtures("outcome")
def test_the_linkers_cache_was_made_in_the_tree(base: Machine) -> None:
    assert base.at("/etc/ld.so.cache").read_bytes().startswith(b"glibc-ld.so.cache")
