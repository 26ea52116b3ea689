"""A whole comparison as plain data, scope by scope: what the service tells and people read. One JSON line a difference, never all in memory."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import Any, BinaryIO

from scanner.compare import FIELDS, PRESENCE
from scanner.consensus import Spread, spread_accounts, spread_files, spread_packages, spread_services
from scanner.report import Report
from scanner.textdiff import MOST, text_diffs, worth_reading

SCOPES = ("packages", "files", "users", "services")
_CONTEXT = ("type", "state", "package")
"""Told of every path that differs, whatever differs."""


class Comparison:
    """Two reports or more. `labels` names them where outliers are told.

    A difference has `name` (of files: `path`), `change` (`added`, `removed`, `changed`; of more than two: `not everywhere`, `changed`),
    `fields`, and `values`: of each report what differs, None where it is not there. Two reports: `diff` where both overlays hold the
    text. More: `outliers`, the labels of those that are not with the majority; None where there is no majority.
    """

    def __init__(self, reports: Sequence[Report], labels: Sequence[int], scopes: Collection[str] = SCOPES, ignore: Collection[str] = ()) -> None:
        self._reports = reports
        self._labels = labels
        self._scopes = [scope for scope in SCOPES if scope in scopes]
        self._fields = [field for field in FIELDS if field not in ignore]
        self.counts: dict[str, dict[str, int]] = {}
        """Scope -> change -> number; complete after `write`."""

    @property
    def equal(self) -> bool:
        return not any(self.counts.values())

    def write(self, lines: BinaryIO) -> dict[str, str]:
        """One JSON object a line, each with its `scope`; answers the text differences by path. Raises ValueError, `HostileInput`."""
        readable: list[str] = []
        for scope in self._scopes:
            counts: Counter[str] = Counter()
            for found in self._spreads(scope):
                told = self._told(scope, found)
                counts[told["change"]] += 1
                lines.write(json.dumps({"scope": scope, **told}, ensure_ascii=True).encode("ascii") + b"\n")
                if scope == "files" and self._is_pair and len(readable) < MOST and worth_reading(found.name, found.rows, found.fields):
                    readable.append(found.name)
            self.counts[scope] = dict(counts)
        return text_diffs(self._reports[0], self._reports[1], readable)

    @property
    def _is_pair(self) -> bool:
        return len(self._reports) == 2

    def _spreads(self, scope: str) -> Iterator[Spread]:
        if scope == "files":
            return spread_files(self._reports, self._fields)
        return {"packages": spread_packages, "users": spread_accounts, "services": spread_services}[scope](self._reports)

    def _told(self, scope: str, found: Spread) -> dict[str, Any]:
        told: dict[str, Any] = {
            "path" if scope == "files" else "name": found.name,
            "change": self._change(found),
            "fields": list(found.fields),
            "values": [_values(row, found.fields) for row in found.rows],
        }
        if not self._is_pair:
            told["outliers"] = [self._labels[number] for number in found.outliers] or None
        return told

    def _change(self, found: Spread) -> str:
        if None not in found.rows:
            return "changed"
        if not self._is_pair:
            return "not everywhere"
        return "added" if found.rows[0] is None else "removed"


def _values(row: Any, fields: Collection[str]) -> dict[str, Any] | None:
    if row is None:
        return None
    if PRESENCE in fields:
        return {name: value for name, value in row.items() if name not in ("path", "reason", "extents")}
    return {name: row.get(name) for name in (*(one for one in _CONTEXT if one in row), *fields)}
