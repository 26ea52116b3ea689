"""Scan a live system in two phases: inventory first, then the capture of what the caller chose."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import zstandard

from scanner.host import clock, run
from scanner.overlay import CONTENTS, FOREIGN
from scanner.progress import Progress
from scanner.repack import repack
from scanner.report import Container, Facts, FileEntry, Machine, Report, ScanReport, System, file_table, write_head
from scanner.selection import Part, Selection
from scanner.targets.base import Target
from scanner.wire import Inventory, Table

Pick = Callable[[FileEntry], Literal["overlay", "foreign"] | None]
"""Says of one path where its contents go: the overlay, the archive of packages that no repository offers, or nowhere."""

Chooser = Callable[[Report], Pick]
"""The service's part between the phases: looks at the inventory, answers what is to be captured."""

INVENTORY_SHARE = 70
"""Percent of the whole job that the inventory is when contents are captured as well."""


KNOWN = "known.zst"
"""Beside a report: what lets the next scan of the same system leave unread what stayed as it was (`scanner/agent/known.py`)."""


def scan(
    target: Target, into: Path, progress: Progress, *, choose: Chooser | None = None, excludes: Sequence[str] = (), known: Path | None = None
) -> Report:
    """Scan `target` into the folder `into`: `head.json`, `files.ndjson.zst`, `known.zst` and, with `choose`, `overlay.tar.zst` and
    `foreign.tar.zst`. `known` is an earlier scan's.

    Without `choose` the scan is simple: metadata only. Raises `NotFound`, `Unreachable`, `HostileInput`, `StepFailed`, `Cancelled`;
    the folder is then the caller's to remove. A `missing` path for which `choose` names an archive becomes a whiteout of the overlay.
    Stages: `inventory`, `capture`.
    """
    into.mkdir(parents=True, exist_ok=True)
    progress.stage("inventory", target.label)
    report = _inventory(target, into, progress, excludes, known, share=INVENTORY_SHARE if choose else 100)
    if choose:
        progress.stage("capture", target.label)
        _capture(target, report, choose(report), progress)
    if target.label.startswith("docker:"):
        run.tally("scan")
    progress.update(100, f"{report.head.counts['files']} paths")
    return report


def _inventory(target: Target, into: Path, progress: Progress, excludes: Sequence[str], known: Path | None, share: int) -> Report:
    head = ScanReport(
        target=target.label,
        created=clock.now().isoformat(timespec="seconds"),
        excludes=list(excludes),
        system=_known(target.facts()),
    )

    def seen(count: int, expected: int) -> None:
        progress.update(min(share - 1, share * count // max(count, expected)), f"{count} paths")

    with file_table(into) as table, _remembering(into) as remembered, target.inventory(excludes, known) as stream:
        Inventory(head, table, seen, remembered).read(stream)
    write_head(into, head)
    counts = ", ".join(f"{name} {number}" for name, number in head.counts.items())
    progress.log(f"inventory of {target.label}: {counts}; {head.bytes} bytes; {len(head.blind_spots)} blind spots")
    return Report(into)


@contextmanager
def _remembering(into: Path) -> Iterator[Table]:
    path = into / KNOWN
    try:
        with path.open("wb") as out, zstandard.ZstdCompressor(level=1).stream_writer(out) as packed, io.BufferedWriter(packed, 1 << 18) as lines:  # type: ignore[type-var]
            yield lines
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _known(facts: Facts | None) -> System:
    return System(container=facts if isinstance(facts, Container) else None, machine=facts if isinstance(facts, Machine) else None)


def _capture(target: Target, report: Report, pick: Pick, progress: Progress) -> None:
    selection = Selection(report.folder)
    try:
        selection.choose(report.files(), pick)
        progress.log("chosen: " + ", ".join(f"{name} {number}" for name, number in sorted(selection.counts.items())))
        progress.update(INVENTORY_SHARE, f"capturing {selection.overlay.count + selection.foreign.count} paths")
        _archive(target, report, selection.overlay, CONTENTS, selection.deleted)
        progress.update(95, "captured the overlay")
        _archive(target, report, selection.foreign, FOREIGN, ())
    finally:
        selection.remove()
    report.head.overlay = True
    write_head(report.folder, report.head)


def _archive(target: Target, report: Report, part: Part, name: str, deleted: Sequence[str]) -> None:
    with target.capture(part.paths) as stream:
        spots = repack(stream, report.folder / name, part.asked(), deleted, announced=part.announced)
    report.head.blind_spots.extend(spots)
