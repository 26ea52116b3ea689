"""Two builds of the same input, apart in time: the same tree, partition table and UUIDs, whatever the moment was."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.smallbuild import build, make_base

from builders import canonical
from builders.base import clock
from scanner.host.disks import root_of
from scanner.host.sweep import give_back

from .conftest import FILESYSTEM, Machine

pytestmark = pytest.mark.dib


def told(disk: Path, work: Path) -> tuple[list[str], str, str]:
    """The tree, the partition table and the file system's UUID, the last two by tools that are not ours."""
    work.mkdir()
    with root_of(disk, "raw", work) as root:
        tree = list(canonical.lines(root))
        uuid = subprocess.run(["findmnt", "-n", "-o", "UUID", str(root)], capture_output=True, text=True, check=True).stdout
    table = subprocess.run(["sfdisk", "-d", str(disk)], capture_output=True, text=True, check=True).stdout
    return tree, table.replace(str(disk), "DISK"), uuid


def test_two_cold_builds_of_the_same_input_give_the_same_tree_table_and_uuids(
    project: Path, make_machine: Callable[[str], Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The small base is made before the build; as what diskimage-builder makes, its times are those of the build.
    monkeypatch.setattr(clock, "now", lambda: datetime(2020, 1, 1, tzinfo=UTC))
    found = []
    for number in range(2):
        base = project / "base/root"
        for path in [base, *base.rglob("*")]:
            os.utime(path, follow_symlinks=False)
        make_base(base, project / "base.raw", FILESYSTEM)
        build(project, formats=("raw",))
        found.append(told(project / "image/image.raw", project / f"look{number}"))
        give_back(project / "work")
        shutil.rmtree(project / "cache")
        time.sleep(1.1)
    first, second = found
    assert set(first[0]) ^ set(second[0]) == set()
    assert first == second
    assert len(first[0]) > 30
    assert FILESYSTEM in first[2]
    assert "0x1234abcd" in first[1]


def test_times_of_the_build_become_the_one_that_is_asked_for_and_no_others(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: datetime(2020, 1, 1, tzinfo=UTC))
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1600000000")
    os.utime(project / "base/root/boot/vmlinuz-6.1", (1.5e9, 1.5e9))
    source = (project / "source/root/srv/page").stat().st_mtime_ns
    make_base(project / "base/root", project / "base.raw", FILESYSTEM)
    build(project, formats=("raw",))
    (project / "look").mkdir()
    with root_of(project / "image/image.raw", "raw", project / "look") as root:
        assert (root / "boot/initrd.img-6.1").stat().st_mtime == 1.6e9, "made by the build"
        assert (root / "boot/vmlinuz-6.1").stat().st_mtime == 1.5e9, "older than the build: a package's own"
        assert (root / "srv/page").stat().st_mtime_ns == source, "the source's own"
        assert (root / "etc/machine-id").stat().st_mtime == 1.6e9, "written by the last pass"
    give_back(project / "work")


def test_whatever_differs_between_two_trees_shows_in_the_digest(tmp_path: Path) -> None:
    def tree() -> Path:
        root = tmp_path / "tree"
        shutil.rmtree(root, ignore_errors=True)
        (root / "etc").mkdir(parents=True)
        for name, text in {"a": "1", "b": "2"}.items():
            (root / "etc" / name).write_text(text)
            os.utime(root / "etc" / name, (1e9, 1e9))
        (root / "etc/link").symlink_to("a")
        for path in (root / "etc/link", root / "etc", root):
            os.utime(path, (1e9, 1e9), follow_symlinks=False)
        return root

    same = canonical.digest(tree())
    assert canonical.digest(tree()) == same
    changes: list[Callable[[Path], object]] = [
        lambda etc: (etc / "a").write_text("3"),
        lambda etc: (etc / "a").chmod(0o600),
        lambda etc: os.chown(etc / "a", 1, 0),
        lambda etc: os.utime(etc / "a", (1e9 + 1, 1e9 + 1)),
        lambda etc: os.setxattr(etc / "a", "user.x", b"y"),
        lambda etc: (etc / "new").touch(),
        lambda etc: ((etc / "link").unlink(), (etc / "link").symlink_to("b")),
        lambda etc: ((etc / "b").unlink(), os.link(etc / "a", etc / "b")),
    ]
    seen = {same}
    for change in changes:
        root = tree()
        change(root / "etc")
        for path in (root / "etc/link", root / "etc", root):
            os.utime(path, (1e9, 1e9), follow_symlinks=False)
        seen.add(canonical.digest(root))
    assert len(seen) == 1 + len(changes)
