"""A copy that somebody laid hands on between build and proof: what a rule excuses of an honest copy, it does not excuse of this one."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from builders.copydisk import Copy, Mounted
from builders.fidelity import LOST, SINCE, Comparison, compare

from .conftest import Machine, Record, WriteReport, built, entry, recorded
from .test_fidelity import WANTS, add_cloud, copy, edit, explained, proof, settle, source, unexplained  # noqa: F401

Deed = Callable[[Machine], object]
ACCOUNTS = {"passwd": ["cloudd:x:106:106::/:/bin/false"], "group": ["cloudd:x:106:"]}
DEBUG = b"[Service]\nExecStart=/bin/sh\n[Install]\nWantedBy=sysinit.target\n"


def built_upon(machine: Machine) -> Machine:
    """What a build adds to the copy of `lived_in`."""
    add_cloud(machine)
    machine.file("/usr/lib/systemd/system/debug-shell.service", DEBUG)
    machine.package("systemd", {"/usr/lib/systemd/system/debug-shell.service": DEBUG})
    machine.file("/var/lib/dpkg/info/cloud.postinst", b"#!/bin/sh\n", 0o755)
    machine.file("/boot/grub/grub.cfg", b"linux /vmlinuz\n")
    machine.file("/boot/grub/grubenv", b"saved_entry=0\n")
    machine.file("/etc/ld.so.cache", b"libraries\n")
    machine.file("/etc/fstab", b"LABEL=root / ext4 defaults 0 1\n")
    machine.file("/etc/hosts", b"127.0.0.1 localhost\n")
    machine.file("/etc/machine-id", b"", 0o444)
    machine.file("/var/lib/dpkg/triggers/File", b"")
    edit("/etc/passwd", b"anna:x", b"cloudd:x:106:106::/:/bin/false\nanna:x")(machine)
    edit("/etc/group", b"staff:x", b"cloudd:x:106:\nstaff:x")(machine)
    edit("/etc/shadow", b"anna:", b"cloudd:!:19000::::::\nanna:")(machine)
    settle(machine)
    return machine


@pytest.fixture
def record(source: Machine, copy: Machine) -> Record:  # noqa: F811
    """What the build of the copy wrote down."""
    both(source, copy)
    built_upon(copy)
    return recorded(source.scan(), copy, "cloud", "systemd")


def both(*machines: Machine) -> None:
    for machine in machines:
        machine.file("/etc/subuid", b"anna:100000:65536\n")
        machine.file("/etc/gshadow", b"root:*::\nstaff:!::anna\n")
        machine.file("/var/backups/db/dump.sql", b"data")
        machine.file("/var/log/wtmp", b"x", 0o664)
        machine.file("/var/cache/ldconfig/x").unlink()
        settle(machine)


def prove(source: Machine, copy: Machine, record: Record) -> Comparison:  # noqa: F811
    settle(copy)
    return proof(source, copy, "cloud", "systemd", record=record, accounts=ACCOUNTS)


def booted(machine: Machine) -> None:
    """What a machine does at its first start."""
    machine.file("/etc/machine-id", b"0123\n", 0o444)
    machine.file("/var/lib/systemd/random-seed", b"random", 0o600)
    machine.file("/var/lib/systemd/linger/x").unlink()
    machine.file("/var/lib/cloud/instances/one/obj.pkl", b"pickle", 0o400)
    machine.file("/var/lib/cloud/instances/one/sem/config_ssh")
    machine.file("/var/lib/cloud/scripts/per-boot/x").unlink()
    machine.at("/var/lib/cloud/instance").symlink_to("/var/lib/cloud/instances/one")
    machine.file("/var/log/wtmp", b"x and more", 0o664)
    machine.file("/root/.ssh/authorized_keys", b"", 0o600)
    machine.file("/var/backups/dpkg.status.0", b"Package: x\n")
    machine.file("/boot/grub/grubenv", b"saved_entry=1\n")
    machine.file("/var/log/journal/0123/system.journal", b"journal", 0o640)
    machine.file("/var/cache/ldconfig/aux-cache", b"inodes", 0o600)


def test_an_honest_copy_that_ran_has_nothing_unexplained(source: Machine, copy: Machine, record: Record) -> None:  # noqa: F811
    assert unexplained(prove(source, copy, record)) == set()
    booted(copy)
    assert unexplained(prove(source, copy, record)) == set()


def test_the_loaders_cache_may_be_written_again_as_it_was(source: Machine, copy: Machine, record: Record) -> None:  # noqa: F811
    settle(copy)
    os.utime(copy.at("/etc/ld.so.cache"), ns=(5, 5))
    found = proof(source, copy, "cloud", "systemd", record=record, accounts=ACCOUNTS)
    assert unexplained(found) == set()
    assert explained(found)["/etc/ld.so.cache"] == "linker-cache"


def program(path: str, data: bytes = b"#!/bin/sh\n", mode: int = 0o644) -> Deed:
    return lambda machine: machine.file(path, data, mode)


def link(path: str, target: str) -> Deed:
    def act(machine: Machine) -> None:
        machine.at(path).parent.mkdir(parents=True, exist_ok=True)
        machine.at(path).unlink(missing_ok=True)
        machine.at(path).symlink_to(target)

    return act


def listing(machine: Machine) -> None:
    """An added package's own list names a file that no package brought."""
    machine.file("/etc/sudoers.d/evil", b"ALL ALL=NOPASSWD: ALL\n")
    with machine.at("/var/lib/dpkg/info/cloud.list").open("a") as out:
        out.write("/etc/sudoers.d/evil\n")


ADDED: dict[str, tuple[Deed, str]] = {
    "setuid on an added program": (lambda m: m.at("/usr/bin/cloud").chmod(0o4777), "/usr/bin/cloud"),
    "an attribute of an added program": (lambda m: os.setxattr(m.at("/usr/bin/cloud"), "user.x", b"1"), "/usr/bin/cloud"),
    "an added program": (program("/usr/bin/cloud", b"Added"), "/usr/bin/cloud"),
    "a maintainer script of an added package": (program("/var/lib/dpkg/info/cloud.postinst", b"#!/bin/SH\n", 0o755), "/var/lib/dpkg/info/cloud.postinst"),
    "an added package's list": (listing, "/etc/sudoers.d/evil"),
    "a link to an added program": (link("/etc/profile.d/x.sh", "/usr/bin/cloud"), "/etc/profile.d/x.sh"),
    "an added unit enabled elsewhere": (
        link("/etc/systemd/system/sysinit.target.wants/debug-shell.service", "/lib/systemd/system/debug-shell.service"),
        "/etc/systemd/system/sysinit.target.wants/debug-shell.service",
    ),
    "an added link that leads elsewhere": (link(f"{WANTS}/cloud.service", "/lib/systemd/system/debug-shell.service"), f"{WANTS}/cloud.service"),
    "a folder's mode": (lambda m: m.at("/usr/share/cloud").chmod(0o777), "/usr/share/cloud"),
    "the bootloader's menu": (program("/boot/grub/grub.cfg", b"linux /vmlinuz init=/bin/sh\n"), "/boot/grub/grub.cfg"),
    "setuid in /boot": (program("/boot/sh", mode=0o4755), "/boot/sh"),
    "the bootloader's defaults": (program("/etc/default/grub.d/evil.cfg"), "/etc/default/grub.d/evil.cfg"),
    "the file systems": (program("/etc/fstab", b"LABEL=root / ext4 defaults,suid 0 1\n"), "/etc/fstab"),
    "the hosts": (program("/etc/hosts", b"127.0.0.1 localhost\n192.0.2.1 mirror.example\n"), "/etc/hosts"),
    "a trigger of dpkg's": (program("/var/lib/dpkg/triggers/File", b"/etc x\n"), "/var/lib/dpkg/triggers/File"),
    "an unknown record of dpkg's": (program("/var/lib/dpkg/info/evil"), "/var/lib/dpkg/info/evil"),
    "another architecture": (program("/var/lib/dpkg/arch", b"amd64\ni386\n"), "/var/lib/dpkg/arch"),
    "an alternative's record": (program("/var/lib/dpkg/alternatives/evil"), "/var/lib/dpkg/alternatives/evil"),
    "a unit for a container's command": (program("/etc/systemd/system/forgelet-container.service"), "/etc/systemd/system/forgelet-container.service"),
    "a network of Forgelet's": (program("/etc/systemd/network/90-forgelet-dhcp.network"), "/etc/systemd/network/90-forgelet-dhcp.network"),
    "cloud-init's orders of Forgelet's": (program("/etc/cloud/cloud.cfg.d/90_forgelet.cfg"), "/etc/cloud/cloud.cfg.d/90_forgelet.cfg"),
    "cloud-init's orders of its package's": (program("/etc/cloud/cloud.cfg.d/90_dpkg.cfg"), "/etc/cloud/cloud.cfg.d/90_dpkg.cfg"),
    "a type of file": (program("/usr/share/mime/packages/evil.xml"), "/usr/share/mime/packages/evil.xml"),
    "certificates": (program("/etc/ssl/certs/ca-certificates.crt"), "/etc/ssl/certs/ca-certificates.crt"),
    "the loader's cache": (program("/etc/ld.so.cache", b"Libraries\n"), "/etc/ld.so.cache"),
    "an added file is gone": (lambda m: m.at("/usr/bin/cloud").unlink(), "/usr/bin/cloud"),
}
RUNNING: dict[str, tuple[Deed, str]] = {
    "a script that cloud-init runs": (program("/var/lib/cloud/scripts/per-boot/evil.sh", mode=0o755), "/var/lib/cloud/scripts/per-boot/evil.sh"),
    "a handler of cloud-init's": (program("/var/lib/cloud/handlers/evil.py"), "/var/lib/cloud/handlers/evil.py"),
    "an instance that is elsewhere": (link("/var/lib/cloud/instance", "/srv"), "/var/lib/cloud/instance"),
    "somebody who lingers": (program("/var/lib/systemd/linger/anna", b""), "/var/lib/systemd/linger/anna"),
    "the mode of the loader's notes": (program("/var/cache/ldconfig/aux-cache", mode=0o4755), "/var/cache/ldconfig/aux-cache"),
    "a file beside the loader's notes": (program("/var/cache/ldconfig/sh"), "/var/cache/ldconfig/sh"),
    "the mode of wtmp": (lambda m: m.at("/var/log/wtmp").chmod(0o666), "/var/log/wtmp"),
    "the mode of a seed": (program("/var/lib/systemd/random-seed", b"x", 0o4755), "/var/lib/systemd/random-seed"),
    "a program among the journals": (program("/var/log/journal/0123/sh"), "/var/log/journal/0123/sh"),
    "setuid among the backups": (program("/var/backups/dpkg.status.1", mode=0o4755), "/var/backups/dpkg.status.1"),
    "a backup of nobody's": (program("/var/backups/sh"), "/var/backups/sh"),
    "somebody's own backup": (program("/var/backups/db/dump.sql", b"datA"), "/var/backups/db/dump.sql"),
    "setuid among byte code": (program("/usr/lib/python3/dist-packages/x/__pycache__/sh.pyc", mode=0o4755), "/usr/lib/python3/dist-packages/x/__pycache__/sh.pyc"),
    "a program among byte code": (program("/usr/lib/python3/dist-packages/x/__pycache__/sh"), "/usr/lib/python3/dist-packages/x/__pycache__/sh"),
    "root's keys elsewhere": (link("/root/.ssh/authorized_keys", "/srv/page"), "/root/.ssh/authorized_keys"),
    "a key of root's": (program("/root/.ssh/authorized_keys", b"ssh-ed25519 AAAA\n", 0o600), "/root/.ssh/authorized_keys"),
    "the mounts": (link("/etc/mtab", "/srv/page"), "/etc/mtab"),
    "the identity's mode": (lambda m: m.at("/etc/machine-id").chmod(0o666), "/etc/machine-id"),
    "the resolver": (program("/etc/resolv.conf", b"nameserver 192.0.2.1\n"), "/etc/resolv.conf"),
}


@pytest.mark.parametrize("kind", ADDED | RUNNING)
def test_what_was_done_to_a_copy_since_its_build_is_unexplained(source: Machine, copy: Machine, record: Record, kind: str) -> None:  # noqa: F811
    deed, path = (ADDED | RUNNING)[kind]
    if kind in RUNNING:
        booted(copy)
    deed(copy)
    left = {item for scope, item, _ in unexplained(prove(source, copy, record)) if scope == "files"}
    assert path in left
    assert all(path.startswith(item) or item in ("/var/lib/dpkg/info/cloud.list", "/var/lib/dpkg/info") for item in left), left


@pytest.mark.parametrize(
    ("since", "what"),
    [({}, None), ({"sha256": "b" * 64}, f"{SINCE}: sha256"), ({"mode": "0666"}, f"{SINCE}: mode"), ({"type": "symlink", "target": "x", "sha256": None, "mode": "0777"}, None), (None, LOST)],
    ids=str,
)
def test_what_the_source_does_not_tell_is_held_against_the_record(write_report: WriteReport, tmp_path: Path, since: dict[str, Any] | None, what: str | None) -> None:
    """A container's hosts are the engine's: the scan leaves them out, and no comparison of the two reports sees what the copy has there."""
    hosts = entry("/etc/hosts", sha256="a" * 64, state="unmanaged")
    theirs = [replace(hosts, **since)] if since is not None else []
    report = write_report([replace(hosts, state="excluded", reason="mount", sha256=None)])
    left = unexplained(compare(report, Copy(write_report(theirs), Mounted(tmp_path), set(), built(hosts))))
    if since is None or "type" in since:
        assert {item for _, item, _ in left} == {"/etc/hosts"}
    else:
        assert left == ({("files", "/etc/hosts", what)} if what else set())


def test_what_the_copys_scan_leaves_out_is_not_missed(write_report: WriteReport, tmp_path: Path) -> None:
    pruned = entry("/var/cache/apt/archives", "directory", state="excluded")
    record = built(entry("/var/cache/apt/archives/partial", "directory"), pruned, entry("/var/cache/apt/pkgcache.bin", sha256="a" * 64))
    rows = [pruned, entry("/var/cache/apt/pkgcache.bin", state="excluded")]
    assert compare(write_report(rows), Copy(write_report(rows), Mounted(tmp_path), set(), record)).differences == []


ACCOUNT = {
    "a second root in shadow": ("/etc/shadow", b"root:*", b"root::19000:0:99999:7:::\nroot:*", "root"),
    "a first anna who is root": ("/etc/passwd", b"anna:x:1000", b"anna:x:0:0::/:/bin/bash\nanna:x:1000", "anna"),
    "a group twice": ("/etc/group", b"staff:x:50", b"staff:x:50:root\nstaff:x:50", "group staff"),
    "an added account twice": ("/etc/passwd", b"cloudd:x", b"cloudd:x:106:106::/:/bin/false\ncloudd:x", "cloudd"),
    "more subordinate ids": ("/etc/subuid", b"anna:", b"anna:0:65536\nanna:", "anna"),
    "a group's administrators": ("/etc/gshadow", b"root:*", b"root::anna:anna\nroot:*", "group root"),
    "a group with members": ("/etc/group", b"staff:x", b"docker:x:998:anna\nstaff:x", "group docker"),
    "an added group with a member": ("/etc/group", b"cloudd:x:106:", b"cloudd:x:106:anna", "group cloudd"),
    "a locked account in root's group": ("/etc/passwd", b"anna:x", b"svc:*:997:0::/root:/usr/sbin/nologin\nanna:x", "svc"),
    "an account without a password": ("/etc/passwd", b"anna:x", b"svc::997:997::/:/usr/sbin/nologin\nanna:x", "svc"),
    "an added account that is another": ("/etc/passwd", b"cloudd:x:106:106::/:/bin/false", b"cloudd:x:106:0::/:/bin/bash", "cloudd"),
    "an added account that is open": ("/etc/shadow", b"cloudd:!", b"cloudd:", "cloudd"),
    "everybody of another machine's": ("/etc/passwd", b"anna:x", b"+evil::::::\nanna:x", "+evil"),
}


@pytest.mark.parametrize("kind", ACCOUNT)
def test_an_account_more_or_another_is_unexplained_though_the_record_were_forged(source: Machine, copy: Machine, record: Record, kind: str) -> None:  # noqa: F811
    table, old, new, name = ACCOUNT[kind]
    edit(table, old, new)(copy)
    left = unexplained(prove(source, copy, record))
    assert ("files", table, "size, sha256") in left
    forged = recorded(source.scan(), copy, "cloud", "systemd")
    assert {item for scope, item, _ in unexplained(prove(source, copy, forged)) if scope == "users"} == {name}
