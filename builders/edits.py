"""A template made from a scan, with other packages than the scan had: which go, which come, and the report that says so."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from builders.capture import installed
from builders.stack import Wish
from scanner.overlay import CONTENTS, FOREIGN
from scanner.report import FileEntry, Package, Report, ScanReport, State, file_table, write_head


@dataclass(frozen=True, slots=True)
class PackageEdits:
    """The difference between a template's packages and its scan's."""

    removed: tuple[Package, ...] = ()
    """Of the scan; a package that comes at another version is among them."""
    added: tuple[Wish, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.removed or self.added)


def package_edits(head: ScanReport, wishes: Sequence[Wish], bundled: Sequence[Wish] = ()) -> PackageEdits:
    """What a person changed in the list of packages. A template without any list has the scan's; what bundles ask for comes on top."""
    present = {package.name for package in installed(head)}
    more = tuple(wish for wish in bundled if wish.name not in present | {wish.name for wish in wishes})
    if not wishes:
        return PackageEdits(added=more)
    wanted = {(wish.name, wish.arch): wish for wish in wishes}
    removed, met = [], set()
    for package in installed(head):
        key = next((key for key in ((package.name, package.arch), (package.name, "")) if key in wanted), None)
        if key is not None and wanted[key].version in ("", package.version):
            met.add(key)
        else:
            removed.append(package)
    return PackageEdits(tuple(removed), (*(wish for key, wish in sorted(wanted.items()) if key not in met), *more))


def without(scan: Path, edits: PackageEdits, into: Path) -> Path:
    """The scan as if those packages had not been there, in the new folder `into`; the overlay is shared."""
    into.mkdir(parents=True)
    for name in (CONTENTS, FOREIGN):
        if (scan / name).exists():
            os.link(scan / name, into / name)
    report = Report(scan)
    gone = {package.name for package in edits.removed}
    renewed = {wish.name for wish in edits.added}
    count = 0
    with file_table(into) as lines:
        for entry in report.files():
            if not _goes(entry, gone, renewed):
                lines.write(entry.to_json().encode() + b"\n")
                count += 1
    identities = {(package.name, package.arch) for package in edits.removed}
    kept = [package for package in report.head.packages if (package.name, package.arch) not in identities]
    write_head(into, report.head.model_copy(update={"packages": kept, "counts": {**report.head.counts, "files": count}}))
    return into


def _goes(entry: FileEntry, gone: set[str], renewed: set[str]) -> bool:
    """Whether the path went with its package. Folders stay where others use them, and the settings of a package that only changes."""
    name = (entry.package or "").partition(":")[0]
    if name not in gone or entry.type == "directory":
        return False
    return name not in renewed or entry.state != State.CONFFILE_CHANGED
