"""The fabricated machines of the unit tests, owned by more than one user: these tests are root's. And a build of one of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.smallbuild import DISK, make_base
from unit.builders.conftest import plan_of
from unit.scanner.conftest import Machine, machine, make_machine  # noqa: F401

from builders.capture import pick

KEPT = 8
"""MiB of the base that every image has."""
FILESYSTEM = "0b0b0b0b-0000-4000-8000-00000000000b"


@pytest.fixture
def project(tmp_path: Path, make_machine: Callable[[str], Machine]) -> Path:  # noqa: F811
    """A folder in which `support.smallbuild` builds: scan, plan and base disk."""
    source, base = make_machine("source"), make_machine("base")
    source.file("/srv/page", b"hello")
    source.file("/usr/sbin/init")
    for one in (source, base):
        for table in ("passwd", "group", "shadow", "gshadow"):
            one.file(f"/etc/{table}", b"root:x:0:0:root:/root:/bin/sh\n" if table == "passwd" else b"root:x:0:\n")
        for folder in ("var/lib/apt", "var/log"):
            one.at(folder).mkdir()
    for path in ("/boot/vmlinuz-6.1", "/boot/initrd.img-6.1", "/boot/grub/i386-pc/core.img"):
        base.file(path)
    base.file("/boot/kept", bytes(range(256)) * (KEPT << 12))
    base.file("/boot/grub/grub.cfg", b"set timeout=0\nlinux /boot/vmlinuz-6.1\n")
    make_base(base.root, tmp_path / "base.raw", FILESYSTEM)
    report = source.scan(choose=lambda report: lambda entry: pick(entry, set()))
    report.folder.rename(tmp_path / "scan")
    plan = plan_of(additions=()).model_copy(update={"replicate": True, "disk_size": DISK, "filesystem": FILESYSTEM, "disk_id": "0x1234abcd"})
    (tmp_path / "plan.json").write_text(plan.model_dump_json())
    return tmp_path
