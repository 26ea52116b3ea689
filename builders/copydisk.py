"""What a comparison asks of the copy's disk beyond its file table: of the disk itself, or of what a proof wrote down of it."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field

from builders.origins import Own
from scanner.agent.tree import Root, printable
from scanner.overlay import member_path, open_overlay
from scanner.report import Report

TABLES = {
    "/etc/passwd": "a line of passwd",
    "/etc/group": "a line of group",
    "/etc/shadow": "password hash or its age",
    "/etc/gshadow": "group's password, administrators or members",
    "/etc/subuid": "subordinate user ids",
    "/etc/subgid": "subordinate group ids",
}
"""Tables that a report tells nothing of, or not all: the lines of source and copy must be the same, each as often. What differs, in words."""

Accounts = Mapping[str, list[str]]
"""`passwd`, `group` -> the lines, printable, that the build's packages made and the source does not have."""


class Disk(Protocol):
    """The copy's disk."""

    def prefix(self, path: str, size: int) -> str:
        """sha256 of a file's first `size` bytes; empty where that cannot be known."""

    def lines(self, source: Report, accounts: Accounts) -> list[tuple[str, str]]:
        """Table and name of every line of `TABLES` that only one side has, or more often, and none of the build's packages made; of tables
        that the source's overlay holds. The lines themselves are never told."""


@dataclass(slots=True)
class Copy:
    """The migrated machine: its report, its disk, and what its build wrote down of it."""

    report: Report
    disk: Disk
    added: set[str]
    """Names of the packages that were added."""
    record: Mapping[str, Own] = field(default_factory=dict)
    """What is the build's own, and how it was left (`origins.record`)."""
    accounts: Accounts = field(default_factory=dict)
    translated: dict[str, str] = field(default_factory=dict)
    """Configuration that the build translated: path -> sha256 of what it wrote (`translate.py`)."""
    nearest: dict[str, str] = field(default_factory=dict)
    """Package -> the version that the build took instead of the source's (`packages: nearest`)."""


class Attested(BaseModel):
    """What nobody can compute again without the disk: whoever checks a proof elsewhere takes it on the proof's word."""

    model_config = ConfigDict(extra="forbid")

    prefixes: dict[str, str] = Field(default_factory=dict)
    """Log that grew -> sha256 of as many of its first bytes as the source has."""
    lines: list[tuple[str, str]] = Field(default_factory=list)


class Mounted:
    """The disk itself, mounted at `root`; remembers in `attested` what it answered."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.attested = Attested()

    def read(self, path: str, size: int = 64 << 20) -> bytes:
        """Up to `size` first bytes of a file, reached through no link that leads out of the tree; none where it cannot be read."""
        with closing(Root(os.fsencode(self.root))) as inside:
            return inside.read(os.fsencode(path), size) or b""

    def prefix(self, path: str, size: int) -> str:
        self.attested.prefixes[path] = hashlib.sha256(self.read(path, size)).hexdigest()
        return self.attested.prefixes[path]

    def lines(self, source: Report, accounts: Accounts) -> list[tuple[str, str]]:
        overlay = source.folder / "overlay.tar.zst"
        if not source.head.overlay or not overlay.exists():
            return []
        found = {(path, name): None for path, ours in _members(overlay, TABLES).items() for name in _differing(path, ours, self.read(path), accounts)}
        self.attested.lines = list(found)
        return self.attested.lines


class Recorded:
    """A disk that is elsewhere: answers what the proof attested."""

    def __init__(self, attested: Attested) -> None:
        self.attested = attested

    def prefix(self, path: str, size: int) -> str:
        return self.attested.prefixes.get(path, "")

    def lines(self, source: Report, accounts: Accounts) -> list[tuple[str, str]]:
        return self.attested.lines


def _differing(table: str, ours: bytes, theirs: bytes, accounts: Accounts) -> list[str]:
    left, right = (Counter(line for line in text.splitlines() if line.strip()) for text in (ours, theirs))
    made = _made(table, right - left, accounts)
    return sorted(_name(line) for line in ((left - right) + (right - left)) - made)


def _made(table: str, more: Iterable[bytes], accounts: Accounts) -> Counter[bytes]:
    """Which lines packages of the build's made: of passwd and group the very ones, of the shadows one that locks each of these."""
    users, groups = (accounts.get(name, ()) for name in ("passwd", "group"))
    told = Counter(users if table == "/etc/passwd" else groups if table == "/etc/group" else ())
    if table == "/etc/shadow":
        told = Counter(line.partition(":")[0] for line in users)
    elif table == "/etc/gshadow":
        told = Counter(":".join((line.split(":")[0], "", line.split(":")[3])) for line in groups)
    found: Counter[bytes] = Counter()
    for line in more:
        key = _key(table, printable(line).split(":"))
        if key is not None and told[key]:
            told[key] -= 1
            found[line] += 1
    return found


def _key(table: str, row: list[str]) -> str | None:
    """By what a line is known again; None: no package makes such a line."""
    if table in ("/etc/passwd", "/etc/group"):
        return ":".join(row)
    locked = len(row) > 3 and row[1][:1] in ("!", "*")
    if table == "/etc/shadow" and locked:
        return row[0]
    return ":".join((row[0], *row[2:4])) if table == "/etc/gshadow" and locked else None


def _name(line: bytes) -> str:
    return printable(line.partition(b":")[0])


def _members(overlay: Path, wanted: Iterable[str]) -> dict[str, bytes]:
    """Contents of regular files of the overlay."""
    left, found = set(wanted), {}
    with open_overlay(overlay) as tar:
        for member in tar:
            path = member_path(member)
            if path in left and member.isreg():
                data = tar.extractfile(member)
                found[path] = data.read() if data else b""
                left.remove(path)
            if not left:
                break
    return found
