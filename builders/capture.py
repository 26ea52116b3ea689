"""What a scan must bring home: the chooser that the service hands to the scanner between its two phases."""

from __future__ import annotations

from collections.abc import Callable, Set
from functools import lru_cache
from pathlib import Path
from typing import Literal

from builders.archive import Archive, PackageId, parse_stanzas
from builders.errors import BuildFailed
from builders.explain import base_wins
from scanner.errors import Unreachable
from scanner.overlay import FOREIGN, member_path, open_overlay
from scanner.report import FileEntry, Package, Report, ScanReport, State
from scanner.scan import Chooser, Pick

_CHANGED = frozenset({State.UNMANAGED, State.CONFFILE_CHANGED, State.MANAGED_CHANGED})
_INFO = "/var/lib/dpkg/info/"
STATUS = "/var/lib/dpkg/status"


def archive_of(head: ScanReport, cache: Path, *, offline: bool = False) -> Archive:
    """The archive that the scanned system's base release comes from, with the components that it uses."""
    used = {part for repository in head.repositories for part in repository.components}
    return Archive(head.system.codename, head.system.package_arch, cache, sorted({"main"} | used & {"contrib", "non-free", "non-free-firmware"}), offline=offline)


def installed(head: ScanReport) -> list[Package]:
    """The packages that are really on the system (dpkg also remembers removed ones)."""
    return [package for package in head.packages if package.status == "installed"]


def identity(package: Package) -> PackageId:
    return PackageId(package.name, package.arch, package.version)


def foreign(head: ScanReport, cache: Path) -> set[PackageId]:
    """Installed packages that no repository in reach offers at their version. Raises `BuildFailed` when the lists cannot be had."""
    if head.system.distribution != "Debian":
        return set()
    archive = archive_of(head, cache)
    archive.refresh()
    return {identity(package) for package in installed(head)} - archive.offers()


def bare(report: Report) -> frozenset[str]:
    """Names of packages that dpkg has a record of and no list of files: to dpkg they have none, and there is nothing to capture of them."""
    return _bare(report.folder, (report.folder / "head.json").stat().st_mtime_ns)


@lru_cache(maxsize=2)
def _bare(scan: Path, made: int) -> frozenset[str]:
    report = Report(scan)
    lists = (entry.path.removeprefix(_INFO) for entry in report.files() if entry.path.startswith(_INFO) and entry.path.endswith(".list"))
    listed = {name.removesuffix(".list").partition(":")[0] for name in lists}
    return frozenset(one.name for one in installed(report.head) if one.manager == "dpkg" and one.name not in listed)


def captured(scan: Path) -> frozenset[str]:
    """Names of the packages that the scan brought home whole: those whose file lists are in its archive."""
    archive = scan / FOREIGN
    return _names(archive, archive.stat().st_mtime_ns) if archive.exists() else frozenset()


def records(scan: Path) -> list[dict[str, str]]:
    """dpkg's records of the packages that the scan brought home whole."""
    archive = scan / FOREIGN
    return [fields for fields in _records(archive, archive.stat().st_mtime_ns) if fields["Package"] in captured(scan)] if archive.exists() else []


@lru_cache(maxsize=2)
def _records(archive: Path, made: int) -> list[dict[str, str]]:
    with open_overlay(archive) as tar:
        for member in tar:
            if member_path(member) == STATUS and (data := tar.extractfile(member)):
                return [fields for fields in parse_stanzas(data.read().decode(errors="surrogateescape")) if fields.get("Status", "").endswith(" installed")]
    return []


@lru_cache(maxsize=8)
def _names(archive: Path, made: int) -> frozenset[str]:
    with open_overlay(archive) as tar:
        paths = [member_path(member) for member in tar]
    names = (path.removeprefix(_INFO).removesuffix(".list") for path in paths if path.startswith(_INFO) and path.endswith(".list"))
    return frozenset(name.partition(":")[0] for name in names)


def chooser(cache: Path, *, whole: bool = False, log: Callable[[str], None] = lambda line: None) -> Chooser:
    """A chooser that knows the repositories: changed and unmanaged paths go to the overlay, packages that no repository offers to `foreign`.

    With `whole`, and where the repositories cannot be reached, the files of every package go there.
    """

    def choose(report: Report) -> Pick:
        names = _all(report.head) if whole else _outside(report.head)
        return lambda entry: pick(entry, names)

    def _outside(head: ScanReport) -> set[str]:
        try:
            return {package.name for package in foreign(head, cache)}
        except (BuildFailed, Unreachable) as error:
            log(f"every package is captured whole: {error.message}")
            return _all(head)

    return choose


def _all(head: ScanReport) -> set[str]:
    return {package.name for package in installed(head) if package.manager == "dpkg"}


def pick(entry: FileEntry, foreign_names: Set[str]) -> Literal["overlay", "foreign"] | None:
    """Where the contents of one path go; `foreign_names` are packages that must be repacked from their files."""
    if entry.state == State.MANAGED and entry.package is None and entry.type == "directory":
        # Several packages share it; an empty one is in no other way told to be a folder.
        return "foreign" if foreign_names else None
    if entry.state == State.MANAGED:
        return "foreign" if entry.package and entry.package.partition(":")[0] in foreign_names else None
    if entry.state == State.MISSING:
        return "overlay"
    if entry.state not in _CHANGED or entry.type == "socket":
        return None
    if foreign_names and _of_database(entry.path, foreign_names):
        return "foreign"
    return None if base_wins(entry.path) else "overlay"


def _of_database(path: str, names: Set[str]) -> bool:
    if path == STATUS:
        return True
    return path.startswith(_INFO) and path.removeprefix(_INFO).rpartition(".")[0].partition(":")[0] in names
