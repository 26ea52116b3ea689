"""A fabricated machine: a tree with a dpkg database, built by the tests and scanned by the real agent in this process."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from scanner.progress import Silent
from scanner.report import FileEntry, Report
from scanner.scan import Chooser, scan
from scanner.targets.fake import FakeTarget


class Machine:
    """A tree at `root`, laid out like a Debian with a merged /usr."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "root"
        self.scans = 0
        for name in ("etc", "usr/bin", "usr/lib", "tmp", "proc", "var/lib/dpkg/info", "srv"):
            (self.root / name).mkdir(parents=True)
        for name in ("bin", "lib"):
            (self.root / name).symlink_to(f"usr/{name}")
        (self.root / "var/lib/dpkg/status").touch()

    def file(self, path: str | bytes, data: bytes = b"data\n", mode: int = 0o644) -> Path:
        """Put a file at an absolute path, with the folders above it."""
        place = Path(os.fsdecode(os.fsencode(self.root) + os.fsencode(path)))
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        place.chmod(mode)
        return place

    def at(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    def package(
        self,
        name: str,
        files: Mapping[str, bytes] | None = None,
        *,
        conffiles: Mapping[str, bytes] | None = None,
        obsolete: Mapping[str, bytes] | None = None,
        listed: Sequence[str] = (),
        version: str = "1.0-1",
        arch: str = "amd64",
        status: str = "install ok installed",
        info: str = "",
        with_md5: bool = True,
        fields: str = "",
    ) -> None:
        """Write the database's entries for a package and put its files on the disk. `listed` goes into the list only."""
        files, conffiles, obsolete = dict(files or {}), dict(conffiles or {}), dict(obsolete or {})
        for path, data in {**files, **conffiles, **obsolete}.items():
            self.file(path, data)
        lines = [f"Package: {name}", f"Status: {status}", f"Architecture: {arch}", f"Version: {version}", *filter(None, [fields])]
        if conffiles or obsolete:
            lines.append("Conffiles:")
            lines += [f" {path} {hashlib.md5(data).hexdigest()}" for path, data in conffiles.items()]
            lines += [f" {path} {hashlib.md5(data).hexdigest()} obsolete" for path, data in obsolete.items()]
        with self.at("/var/lib/dpkg/status").open("a") as out:
            out.write("\n".join(lines) + "\n\n")
        paths = {*files, *conffiles, *obsolete, *listed}
        parents = {str(parent) for path in paths for parent in Path(path).parents if str(parent) != "/"}
        base = self.at(f"/var/lib/dpkg/info/{info or name}")
        Path(f"{base}.list").write_text("".join(f"{path}\n" for path in ["/.", *sorted(parents | paths)]))
        if with_md5:
            sums = [f"{hashlib.md5(data).hexdigest()}  {path[1:]}\n" for path, data in files.items()]
            Path(f"{base}.md5sums").write_text("".join(sums))

    def target(self, **options: object) -> FakeTarget:
        return FakeTarget(self.root, **options)  # type: ignore[arg-type]

    def scan(self, *excludes: str, choose: Chooser | None = None) -> Report:
        self.scans += 1
        return scan(self.target(), self.folder / f"scan{self.scans}", Silent(), choose=choose, excludes=excludes)

    def entries(self, *excludes: str) -> dict[str, FileEntry]:
        return {entry.path: entry for entry in self.scan(*excludes).files()}

    def verdict(self, path: str) -> tuple[str, str, str | None]:
        entry = self.entries()[path]
        return entry.state, entry.reason, entry.package


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture
def make_machine(tmp_path: Path) -> Callable[[str], Machine]:
    return lambda name: Machine(tmp_path / name)


@pytest.fixture(scope="session")
def new_machine(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Machine]:
    """A machine in a folder of its own at every call: for property tests, which run many times within one test."""
    return lambda: Machine(tmp_path_factory.mktemp("machine"))
