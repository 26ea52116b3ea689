"""Base disks in the cache: made once, remembered, safe under two builds at once and a build that is killed. dib is played here."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from builders import base as module
from builders.archive import Archive, PackageId, pool_name
from builders.base import Base, base_for, is_cached
from builders.cache import entries
from builders.dib import BaseRequest, element_files
from builders.errors import BuildFailed, NotCached
from builders.plan import BuildPlan
from scanner.errors import CommandFailed
from scanner.progress import Silent

from .conftest import plan_of

DISK = b"the disk" * 1000


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A line for each time that diskimage-builder was asked for a base."""
    found: list[str] = []

    def build(request: BaseRequest, into: Path, work: Path, log: object) -> None:
        time.sleep(0.2)
        found.append(request.codename)
        (into / "disk.raw").write_bytes(DISK)
        (into / "dpkg.log").write_text("installed")

    monkeypatch.setattr(module, "build_base", build)
    monkeypatch.setattr("scanner.host.run.as_root", list)
    return found


def plan(**fields: object) -> BuildPlan:
    """Of a machine without a package, which asks no archive for anything."""
    return plan_of(additions=()).model_copy(update={"replicate": True, **fields})


def ask(tmp_path: Path, name: str, wanted: BuildPlan | None = None) -> Base:
    work = tmp_path / name
    work.mkdir()
    return base_for(wanted or plan(), work, work, tmp_path / "cache", Silent())


def test_the_second_build_takes_the_base_of_the_first_and_has_its_own_copy(tmp_path: Path, made: list[str]) -> None:
    first = ask(tmp_path, "first")
    first.disk.write_bytes(b"written to by the last pass")
    second = ask(tmp_path, "second")
    assert (first.cached, second.cached, made) == (False, True, ["bookworm"])
    assert second.disk.read_bytes() == DISK
    assert second.log.read_text() == "installed"
    assert second.key == first.key


@pytest.mark.parametrize("field", [{"disk_size": 3000}, {"filesystem": "another"}, {"disk_id": "0x1"}, {"merged_usr": False}, {"codename": "trixie"}])
def test_whatever_decides_about_the_disk_makes_another_base(tmp_path: Path, made: list[str], field: dict[str, object]) -> None:
    assert ask(tmp_path, "first").key != ask(tmp_path, "second", plan(**field)).key
    assert len(made) == 2


@pytest.mark.parametrize("tool", ["diskimage-builder", "mmdebstrap"])
def test_another_version_of_what_makes_it_makes_another_base(tmp_path: Path, made: list[str], monkeypatch: pytest.MonkeyPatch, tool: str) -> None:
    first = ask(tmp_path, "first")
    real = module.versions
    monkeypatch.setattr(module, "versions", lambda *names: {**real(*names), tool: "newer"})
    assert not ask(tmp_path, "second").cached
    assert ask(tmp_path, "third").key != first.key


def test_the_elements_of_a_base_are_ours_and_diskimage_builders_bootloader() -> None:
    assert {name for name, _ in element_files()} >= {"forgelet-debian/root.d/10-forgelet-debian", "bootloader/finalise.d/50-bootloader"}


def test_another_element_makes_another_base(tmp_path: Path, made: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    ask(tmp_path, "first")
    monkeypatch.setattr(module, "element_files", lambda: [("element", Path(__file__))])
    assert not ask(tmp_path, "second").cached


def test_another_signed_index_is_asked_again_and_gives_the_same_base_when_the_packages_are_the_same(tmp_path: Path, made: list[str]) -> None:
    ask(tmp_path, "first")
    archive = Archive("bookworm", "amd64", tmp_path / "cache")
    assert is_cached(plan(), archive, tmp_path, tmp_path / "cache")
    (archive.folder / "lists/x_InRelease").write_text("of today")
    assert not is_cached(plan(), archive, tmp_path, tmp_path / "cache")
    assert ask(tmp_path, "second").cached
    assert len(made) == 1


def test_two_builds_at_once_make_it_once(tmp_path: Path, made: list[str]) -> None:
    found: list[Base] = []
    threads = [threading.Thread(target=lambda name=name: found.append(ask(tmp_path, name))) for name in ("one", "two")]  # type: ignore[misc]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(base.cached for base in found) == [False, True]
    assert [base.disk.read_bytes() for base in found] == [DISK, DISK]
    assert len(made) == 1


KILLED = """
import os, signal, sys
from pathlib import Path
from builders import base
from builders.plan import BuildPlan
from scanner.progress import Silent
place, when = Path(sys.argv[1]), sys.argv[2]
def build(request, into, work, log):
    (into / "disk.raw").write_bytes(b"half")
    (into / "dpkg.log").write_text("half")
    if when == "building":
        os.kill(os.getpid(), signal.SIGKILL)
def write(path, facts):
    if path.name == "base.json":
        os.kill(os.getpid(), signal.SIGKILL)
base.build_base, base._write = build, write
base.run = lambda argv, root: __import__("subprocess").run(argv, check=True)
base.base_for(BuildPlan.model_validate_json(sys.stdin.read()), place / "killed", place / "killed", place / "cache", Silent())
"""


@pytest.mark.parametrize("when", ["building", "copying"])
def test_a_build_that_was_killed_leaves_no_half_of_a_base_and_no_lock(tmp_path: Path, made: list[str], when: str) -> None:
    (tmp_path / "killed").mkdir()
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), when], input=plan().model_dump_json(), text=True, check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert [one.kind for one in entries(tmp_path / "cache") if one.kind in ("base", "resolution")] == []
    assert not ask(tmp_path, "next").cached
    assert ask(tmp_path, "after").disk.read_bytes() == DISK
    assert [one.kind for one in entries(tmp_path / "cache")].count("partial") == 0


def test_a_base_that_was_removed_is_made_again(tmp_path: Path, made: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORGELET_CACHE_SIZE", "0")
    assert ask(tmp_path, "first").disk.read_bytes() == DISK
    assert [one for one in entries(tmp_path / "cache") if one.kind == "base"] == []
    assert not ask(tmp_path, "second").cached


# Packages.

TOOL = PackageId("tool", "all", "1")


def request(archive: Archive, contents: bytes) -> BaseRequest:
    entry = {"SHA256": hashlib.sha256(contents).hexdigest(), "Size": str(len(contents))}
    return BaseRequest("bookworm", "amd64", [TOOL], {TOOL: entry}, {TOOL: archive.pool / pool_name(TOOL)}, {}, 2000, "", "")


@pytest.fixture
def downloads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """apt downloads the right contents."""
    asked: list[str] = []

    def fetch(self: Archive, packages: list[PackageId], status: Path | None = None) -> None:
        asked.extend(one.name for one in packages)
        (self.pool / pool_name(TOOL)).write_bytes(b"right")

    monkeypatch.setattr(Archive, "fetch", fetch)
    return asked


def test_a_package_in_the_pool_is_not_downloaded_again(tmp_path: Path, downloads: list[str]) -> None:
    archive = Archive("bookworm", "amd64", tmp_path)
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        got = module._fetched(request(archive, b"right"), archive, tmp_path / name)
        assert got.debs[TOOL] == tmp_path / name / "packages/tool_1_all.deb"
        assert got.debs[TOOL].read_bytes() == b"right"
    assert downloads == ["tool"]


@pytest.mark.parametrize("damaged", [b"wrong", b"rig"])
def test_a_package_that_was_damaged_in_the_pool_is_downloaded_again(tmp_path: Path, downloads: list[str], damaged: bytes) -> None:
    archive = Archive("bookworm", "amd64", tmp_path)
    (archive.pool / pool_name(TOOL)).write_bytes(damaged)
    assert module._fetched(request(archive, b"right"), archive, tmp_path).debs[TOOL].read_bytes() == b"right"
    assert downloads == ["tool"]


def test_offline_a_damaged_package_is_named_and_nothing_is_downloaded(tmp_path: Path, downloads: list[str]) -> None:
    archive = Archive("bookworm", "amd64", tmp_path, offline=True)
    (archive.pool / pool_name(TOOL)).write_bytes(b"wrong")
    with pytest.raises(NotCached, match="tool=1"):
        module._fetched(request(archive, b"right"), archive, tmp_path)
    assert downloads == []


def test_offline_the_lists_of_before_are_taken_however_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(self: Archive, *argv: str, status: Path | None = None) -> str:
        raise AssertionError(f"{argv} was asked")

    monkeypatch.setattr(Archive, "_apt", refused)
    archive = Archive("bookworm", "amd64", tmp_path, offline=True)
    with pytest.raises(NotCached, match="the package lists of bookworm \\(main\\) are not in the cache") as failed:
        archive.refresh()
    assert failed.value.hint == "build once without --offline"
    (archive.folder / "sources.list").touch()
    (archive.folder / "refreshed").touch()
    os.utime(archive.folder / "refreshed", (1, 1))
    archive.refresh()


def test_a_mirror_that_is_down_is_told_with_the_way_to_build_without_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def down(self: Archive, *argv: str, status: Path | None = None) -> str:
        raise CommandFailed(["apt-get"], 100, "E: Could not connect\n")

    monkeypatch.setattr(Archive, "_apt", down)
    monkeypatch.setattr(Archive, "sources", lambda self: "deb x y z")
    with pytest.raises(BuildFailed, match="Could not connect") as failed:
        Archive("bookworm", "amd64", tmp_path).refresh()
    assert "--offline" in failed.value.hint


def test_what_a_plan_resolved_to_is_written_down_by_all_that_decides(tmp_path: Path, made: list[str]) -> None:
    base = ask(tmp_path, "first")
    (note,) = (tmp_path / "cache/resolved").iterdir()
    assert json.loads(note.read_bytes()) == {"key": base.key, "installed": []}
