"""What a scan must bring home: the chooser that the service hands to the scanner between its two phases."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Set
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
INFO = "/var/lib/dpkg/info/"
STATUS = "/var/lib/dpkg/status"


def archive_of(head: ScanReport, cache: Path, *, offline: bool = False) -> Archive:
    """The archive that the scanned system's base release comes from, with the components that it uses."""
    used = {part for repository in head.repositories for part in repository.components}
    return Archive(head.system.codename, head.system.package_arch, cache, sorted({"main"} | used & {"contrib", "non-free", "non-free-firmware"}), offline=offline)


def installed(head: ScanReport) -> list[Package]:
    """The packages that are really on the system (dpkg also remembers removed ones)."""
    return [package for package in head.packages if package.status == "installed"]


def removed(head: ScanReport) -> list[Package]:
    """The packages that were removed and not purged: dpkg keeps their configuration, a record, and what it takes to purge them."""
    return [package for package in head.packages if package.manager == "dpkg" and package.status == "config-files"]


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
    lists = (entry.path.removeprefix(INFO) for entry in report.files() if entry.path.startswith(INFO) and entry.path.endswith(".list"))
    listed = {name.removesuffix(".list").partition(":")[0] for name in lists}
    return frozenset(one.name for one in installed(report.head) if one.manager == "dpkg" and one.name not in listed)


def record_names(packages: Iterable[Package | PackageId], others: Set[str]) -> frozenset[str]:
    """How dpkg calls its records of these packages in its info folder, but for the ending: `name:arch`, and `name` where none of the `others` is called so."""
    return frozenset(name for one in packages for name in ({one.name, f"{one.name}:{one.arch}"} - others))


def left_behind(head: ScanReport) -> frozenset[str]:
    """Names of dpkg's records of the removed packages."""
    return record_names(removed(head), {package.name for package in installed(head)})


def captured(scan: Path) -> frozenset[str]:
    """Names of the packages that the scan brought home whole: those whose file lists are in its archive, and that are installed."""
    archive = scan / FOREIGN
    if not archive.exists():
        return frozenset()
    lists = _lists(archive, archive.stat().st_mtime_ns) - left_behind(Report(scan).head)
    return frozenset(name.partition(":")[0] for name in lists)


def records(scan: Path) -> list[dict[str, str]]:
    """dpkg's records of the packages that the scan brought home whole."""
    whole = captured(scan)
    return [fields for fields in stanzas(scan) if fields["Package"] in whole and fields.get("Status", "").endswith(" installed")]


def stanzas(scan: Path) -> list[dict[str, str]]:
    """dpkg's status of the source, package by package; nothing where the scan had no need to bring it home."""
    archive = scan / FOREIGN
    return _stanzas(archive, archive.stat().st_mtime_ns) if archive.exists() else []


@lru_cache(maxsize=2)
def _stanzas(archive: Path, made: int) -> list[dict[str, str]]:
    with open_overlay(archive) as tar:
        for member in tar:
            if member_path(member) == STATUS and (data := tar.extractfile(member)):
                return list(parse_stanzas(data.read().decode(errors="surrogateescape")))
    return []


@lru_cache(maxsize=8)
def _lists(archive: Path, made: int) -> frozenset[str]:
    with open_overlay(archive) as tar:
        paths = [member_path(member) for member in tar]
    return frozenset(path.removeprefix(INFO).removesuffix(".list") for path in paths if path.startswith(INFO) and path.endswith(".list"))


def chooser(cache: Path, *, whole: bool = False, log: Callable[[str], None] = lambda line: None) -> Chooser:
    """A chooser that knows the repositories: changed and unmanaged paths go to the overlay, packages that no repository offers to `foreign`,
    and with them what dpkg keeps of removed ones.

    With `whole`, and where the repositories cannot be reached, the files of every package go there.
    """

    def choose(report: Report) -> Pick:
        names = _all(report.head) if whole else _outside(report.head)
        gone = left_behind(report.head)
        return lambda entry: pick(entry, names, gone)

    def _outside(head: ScanReport) -> set[str]:
        try:
            return {package.name for package in foreign(head, cache)}
        except (BuildFailed, Unreachable) as error:
            log(f"every package is captured whole: {error.message}")
            return _all(head)

    return choose


def _all(head: ScanReport) -> set[str]:
    return {package.name for package in installed(head) if package.manager == "dpkg"}


def pick(entry: FileEntry, foreign_names: Set[str], left_behind: Set[str] = frozenset()) -> Literal["overlay", "foreign"] | None:
    """Where the contents of one path go; `foreign_names` are packages that must be repacked from their files, `left_behind` the names of
    dpkg's records of removed ones."""
    if entry.state == State.MANAGED and entry.package is None and entry.type == "directory":
        # Several packages share it; an empty one is in no other way told to be a folder.
        return "foreign" if foreign_names else None
    if entry.state == State.MANAGED:
        return "foreign" if entry.package and entry.package.partition(":")[0] in foreign_names else None
    if entry.state == State.MISSING:
        return "overlay"
    if entry.state not in _CHANGED or entry.type == "socket":
        return None
    if (foreign_names or left_behind) and _of_database(entry.path, foreign_names, left_behind):
        return "foreign"
    return None if base_wins(entry.path) else "overlay"


def _of_database(path: str, names: Set[str], left_behind: Set[str]) -> bool:
    if path == STATUS:
        return True
    record = path.removeprefix(INFO).rpartition(".")[0] if path.startswith(INFO) else ""
    return record in left_behind or record.partition(":")[0] in names
