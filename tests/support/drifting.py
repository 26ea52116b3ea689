"""A live system that is changed in known ways: what a scan says of it, what is really there, and what the generator wrote down."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from support import truth

from emulator.lab.drift.generate import drift
from emulator.lab.drift.record import Drift
from emulator.lab.drift.survey import AREAS
from scanner.comparison import Comparison
from scanner.progress import Silent
from scanner.report import Report
from scanner.scan import KNOWN, scan
from scanner.targets.base import Target

Fields = dict[tuple[str, str], set[str]]


@dataclass(frozen=True)
class Look:
    """A live system at one moment: scanned, and looked at by others."""

    report: Report
    disk: truth.Snapshot
    rows: truth.Rows


@dataclass(frozen=True)
class Drifted:
    """`busy`: folders below which a running system writes by itself; nothing is drifted there."""

    before: Look
    done: Drift
    after: Look
    busy: tuple[str, ...] = ()

    def by_record(self) -> Fields:
        """As the generator wrote it down."""
        return {(effect.scope, effect.name): set(effect.fields) for effect in self.done.expected()}

    def by_scans(self) -> Fields:
        """What a comparison of the two scans finds."""
        return self._calm(said(self.before.report, self.after.report))

    def by_disk(self) -> Fields:
        """What is different on the disk."""
        return self._calm({("files", path): fields for path, fields in truth.differences(self.before.disk, self.after.disk).items()})

    def by_rows(self) -> Fields:
        """What the package managers and getent say."""
        return truth.row_differences(self.before.rows, self.after.rows)

    def check(self) -> None:
        """Scans, disk and records agree with what was done, to the last field."""
        done = self.by_record()
        assert self.by_scans() == done
        assert self.by_disk() == {key: fields for key, fields in done.items() if key[0] == "files"}
        assert self.by_rows() == {key: fields for key, fields in done.items() if key[0] in ("packages", "users")}

    def _calm(self, found: Fields) -> Fields:
        return {key: fields for key, fields in found.items() if not (key[0] == "files" and key[1].startswith(self.busy))}


def said(before: Report, after: Report) -> Fields:
    """What a comparison of two scans finds."""
    lines = io.BytesIO()
    Comparison([before, after], [1, 2]).write(lines)
    items = map(json.loads, lines.getvalue().splitlines())
    return {(item["scope"], item.get("path", item.get("name"))): set(item["fields"]) for item in items}


@dataclass(frozen=True)
class Subject:
    """A live system, the ways into it, and what is left out of a look at it."""

    name: str
    target: Callable[[], Target]
    system: truth.System
    new_folder: Callable[[], Path]
    areas: Sequence[str] = AREAS
    busy: tuple[str, ...] = ()

    def look(self, known: Report | None = None) -> Look:
        """With `known`, as the service scans for a second time: what stayed as it was is not read again."""
        memory = known.folder / KNOWN if known else None
        report = scan(self.target(), self.new_folder(), Silent(), excludes=self.system.pruned, known=memory)
        return Look(report, truth.snapshot(self.system), truth.rows(self.system))

    def drifts(self, seeds: Sequence[int], count: int) -> list[Drifted]:
        """One drift upon the other: each seed finds what those before it left. After the odd ones the scan goes by what the one before it knew."""
        found, before = [], self.look()
        for seed in seeds:
            done = drift(self.system.shell, self.name, seed, count, self.areas)
            after = self.look(before.report if seed % 2 else None)
            found.append(Drifted(before, done, after, self.busy))
            before = after
        return found
