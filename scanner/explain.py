"""Everything that a report knows of one path: whose it is, what should be there, what is, and which rule decided its state."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from scanner.report import FileEntry, Package, Report, State
from scanner.rules import reasons

_ACTUAL = ("type", "mode", "uid", "gid", "size", "mtime", "sha256", "target", "hardlink", "device", "xattrs", "flags", "extents")
_UNCHANGED = frozenset({"md5-equal", "conffile-unchanged"})
"""Reasons that say: the contents are what the package ships."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """What is known of one path. `entry` is its own row, or that of the pruned folder above it (then `inside` is true)."""

    path: str
    entry: FileEntry
    inside: bool
    package: Package | None
    user: str
    group: str

    def told(self) -> dict[str, Any]:
        """As plain data. `expected` has what the package ships, as far as the report knows it."""
        entry = self.entry
        told: dict[str, Any] = {"path": self.path, "state": entry.state, "reason": entry.reason, "rule": reasons().get(entry.reason, entry.reason)}
        if self.inside:
            return {**told, "excludedBy": entry.path}
        owner = {"name": self.package.name, "version": self.package.version, "arch": self.package.arch} if self.package else None
        actual = {name: getattr(entry, name) for name in _ACTUAL} if entry.state != State.MISSING else None
        if actual:
            actual |= {"user": self.user, "group": self.group}
        return {**told, "package": owner or (entry.package and {"name": entry.package}), "actual": actual, "expected": self._expected()}

    def _expected(self) -> dict[str, Any] | None:
        """None where no package says what should be there; the contents of what is as shipped are as they are."""
        entry = self.entry
        if entry.package is None and entry.state not in (State.MANAGED, State.MISSING):
            return None
        expected: dict[str, Any] = dict(entry.expected)
        if entry.reason in _UNCHANGED:
            expected["sha256"] = entry.sha256
        if entry.state == State.MISSING:
            expected.setdefault("type", entry.type)
        return expected


def explain(report: Report, path: str) -> Explanation | None:
    """The explanation of `path`; None when the report does not know it. Raises ValueError when the file table is damaged."""
    entry = _find(report, path)
    if entry is None:
        return None
    head = report.head
    name, _, arch = (entry.package or "").partition(":")
    package = next((one for one in head.packages if one.name == name and arch in ("", one.arch)), None)
    user = next((one.name for one in head.users if one.uid == entry.uid), "")
    group = next((one.name for one in head.groups if one.gid == entry.gid), "")
    return Explanation(path, entry, entry.path != path, package, user, group)


def _find(report: Report, path: str) -> FileEntry | None:
    """The row of the path, or that of the pruned folder that it lies in."""
    marks = {b'"path":' + json.dumps(one, ensure_ascii=True).encode("ascii") + b",": one for one in _above(path)}
    last: FileEntry | None = None
    for line in report.lines():
        if any(mark in line for mark in marks):
            entry = FileEntry.from_json(line)
            if entry.path == path:
                last = entry
                break
            if entry.state == State.EXCLUDED and path.startswith(entry.path.rstrip("/") + "/"):
                last = entry
    return last


def _above(path: str) -> list[str]:
    parts = path.strip("/").split("/")
    return ["/" + "/".join(parts[:count]) for count in range(1, len(parts) + 1)] if path != "/" else ["/"]
