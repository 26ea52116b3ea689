"""Whatever ends a build, nothing of it is left on the machine, the cause and the next step are told, and the next build works."""

from __future__ import annotations

import http.server
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.devices import attached
from support.leftovers import mounts
from support.smallbuild import DISK, INSIDE, STAGES, build, small_disk

from builders import base as bases
from builders.archive import Archive, PackageId
from builders.cache import entries
from builders.capture import pick
from builders.errors import BuildFailed, DiskFull
from scanner.host.sweep import give_back

from .conftest import KEPT, Machine

pytestmark = pytest.mark.dib


def left(folder: Path) -> list[str]:
    """What is on this machine of a build in `folder`, by the system's own tools."""
    found = [row["name"] for row in attached(folder)]
    return found + mounts(folder) + ([str(folder)] if folder.exists() else [])


def next_build_works(project: Path) -> None:
    image = build(project)
    assert image.virtual_size == DISK << 20
    assert give_back(project / "work") == []
    assert left(project / "work") == []


@pytest.mark.parametrize("where", [*STAGES, *INSIDE])
def test_a_build_that_is_killed_leaves_nothing_behind_and_the_next_one_works(project: Path, where: str) -> None:
    done = subprocess.run([sys.executable, "-m", "support.smallbuild", str(project), where], cwd=Path(__file__).parents[2], capture_output=True, check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    if where.endswith("mounted"):
        assert len(left(project / "work")) > 1, "nothing was on loan that could leak"
    assert not (project / "image/image.json").exists(), "an image that is not whole passes for one"
    give_back(project / "work")
    assert left(project / "work") == []
    assert [one.kind for one in entries(project / "cache") if one.kind == "base"] == ([] if where in ("plan", "base", "base copying") else ["base"])
    next_build_works(project)


@pytest.mark.parametrize(("room", "made"), [(KEPT // 2, []), (KEPT * 3 // 2, ["image.raw"])])
def test_a_full_disk_of_this_machine_is_told_with_what_makes_room(project: Path, room: int, made: list[str]) -> None:
    build(project)
    give_back(project / "work")
    with small_disk(project / "small", room) as small:
        with pytest.raises(DiskFull, match="the disk of this machine is full") as failed:
            build(project, into=small, formats=("raw",))
        assert "forgelet cache prune" in failed.value.hint
        assert [path.name for path in (small / "image").glob("image.raw")] == made, "it failed in another stage"
        give_back(small / "work")
        assert left(small / "work") == []
    next_build_works(project)


def test_an_image_that_is_too_small_for_its_contents_is_told_so(project: Path, make_machine: Callable[[str], Machine]) -> None:
    large = make_machine("large")
    large.file("/srv/large", bytes(range(256)) * 4096 * (DISK + 20))
    large.file("/usr/sbin/init")
    large.file("/etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n")
    report = large.scan(choose=lambda report: lambda entry: pick(entry, set()))
    scan = project / "scan"
    scan.rename(project / "scan of before")
    report.folder.rename(scan)
    with pytest.raises(DiskFull, match="the file system of the image is full") as failed:
        build(project)
    assert "diskSize" in failed.value.hint
    give_back(project / "work")
    assert left(project / "work") == []
    shutil.rmtree(scan)
    (project / "scan of before").rename(scan)
    next_build_works(project)


# The mirror.


class Mirror(http.server.ThreadingHTTPServer):
    """Serves a folder on 127.0.0.1; `budget` is how many bytes of packages it still sends before it breaks every connection."""

    budget: float = float("inf")


class Handler(http.server.SimpleHTTPRequestHandler):
    server: Mirror

    def copyfile(self, source: Any, outputfile: Any) -> None:
        data = source.read()
        if self.path.endswith(".deb"):
            allowed = int(min(len(data), self.server.budget))
            self.server.budget -= allowed
            outputfile.write(data[:allowed])
            if allowed < len(data):
                outputfile.flush()
                self.connection.close()
            return
        outputfile.write(data)

    def log_message(self, *about: Any) -> None:
        pass


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[Mirror]:
    """A repository of three packages of 100 KiB, made by dpkg's own tools."""
    root = tmp_path / "mirror"
    root.mkdir()
    index = []
    for name in ("first", "second", "third"):
        tree = tmp_path / f"tree-{name}"
        (tree / "DEBIAN").mkdir(parents=True)
        (tree / "DEBIAN/control").write_text(f"Package: {name}\nVersion: 1\nArchitecture: amd64\nMaintainer: a <a@b>\nDescription: x\n")
        (tree / "data").write_bytes(bytes(range(256)) * 400)
        deb = root / f"{name}_1_amd64.deb"
        subprocess.run(["dpkg-deb", "--build", "-Znone", str(tree), str(deb)], capture_output=True, check=True)
        sums = subprocess.run(["sha256sum", str(deb)], capture_output=True, text=True, check=True).stdout.split()[0]
        index.append(f"Package: {name}\nVersion: 1\nArchitecture: amd64\nMaintainer: a <a@b>\nFilename: ./{deb.name}\nSize: {deb.stat().st_size}\nSHA256: {sums}\nDescription: x\n\n")
    (root / "Packages").write_text("".join(index))
    server = Mirror(("127.0.0.1", 0), lambda *about: Handler(*about, directory=str(root)))  # type: ignore[arg-type]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def archive(mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Archive:
    (tmp_path / "apt.conf").write_text('Acquire::Retries::Delay "false";\n')
    monkeypatch.setenv("APT_CONFIG", str(tmp_path / "apt.conf"))
    # No proxy of this machine's stands before 127.0.0.1.
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Archive, "sources", lambda self: f"deb [trusted=yes] http://127.0.0.1:{mirror.server_address[1]}/ ./\n")
    made = Archive("bookworm", "amd64", tmp_path / "cache")
    made.refresh()
    return made


def test_a_mirror_that_goes_down_in_the_middle_is_told_and_what_came_is_kept(archive: Archive, mirror: Mirror) -> None:
    wanted = [PackageId(name, "amd64", "1") for name in ("first", "second", "third")]
    stanzas = archive.stanzas(wanted)
    mirror.budget = 1.5 * int(stanzas[wanted[0]]["Size"])
    with pytest.raises(BuildFailed, match="packages could not be downloaded") as failed:
        archive.fetch(wanted)
    assert "mirror" in failed.value.hint and "build again" in failed.value.hint
    assert len(archive.lacking(wanted, stanzas)) == 2, "a package that came whole is kept, half a one is none"
    mirror.budget = float("inf")
    archive.fetch(wanted)
    assert archive.lacking(wanted, stanzas) == []


def test_lists_that_break_off_leave_those_of_before(archive: Archive, mirror: Mirror) -> None:
    before = archive.offers()
    mirror.shutdown()
    mirror.server_close()
    with pytest.raises(BuildFailed, match="could not be fetched") as failed:
        archive.refresh(force=True)
    assert "--offline" in failed.value.hint
    assert archive.offers() == before
    assert bases.Archive("bookworm", "amd64", archive.pool.parent, offline=True).offers() == before
