"""Two reports -> what differs. File tables are merged as streams: a million paths are never in memory.

Lines that are equal byte for byte are passed over unread, so comparing two scans of nearly the same machine costs little more than
unpacking them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel

from scanner.report import FileEntry, Group, Kind, Package, Report, Service, State, User, walk_key

PRESENCE = "presence"
"""The only field of a difference where a path (or row) is on one side only."""
FIELDS = ("type", "mode", "uid", "gid", "size", "mtime", "sha256", "target", "hardlink", "device", "xattrs", "flags", "extents")
"""What is compared of a path that is on both sides."""
EXCLUDED_FIELDS = frozenset({"type", "mode", "uid", "gid"})
"""What is compared where either side was pruned: its contents were not read."""
MOUNT_FIELDS = frozenset({"type"})
"""What is compared where something else is mounted over the path: the rest is not the machine's own."""


class FileDifference(NamedTuple):
    """One path that is not the same. A side is None where the report does not know the path at all; a path that should be there and
    is not has its `missing` row."""

    path: str
    left: FileEntry | None
    right: FileEntry | None
    fields: tuple[str, ...]


class RowDifference(NamedTuple):
    """One package, user, group or service that is not the same. `name` is its key."""

    name: str
    left: BaseModel | None
    right: BaseModel | None
    fields: tuple[str, ...]


def compare_files(left: Report, right: Report, fields: Collection[str] = FIELDS) -> Iterator[FileDifference]:
    """Every path that differs in one of `fields` or is on one side only, in walk order. Sizes are those of regular files only.

    A `missing` row counts as not there. Raises ValueError when a table is damaged.
    """
    wanted = tuple(field for field in FIELDS if field in fields)
    for one, other in aligned([left.lines(), right.lines()]):
        there, there_too = is_there(one), is_there(other)
        differing = (PRESENCE,) if there != there_too else differing_fields(one, other, wanted) if one and other and there else ()
        if differing:
            yield FileDifference((one or other)["path"], _entry(one), _entry(other), differing)


RawEntry = dict[str, Any]
"""A line of a file table as read, `{}` for none: most are looked at and dropped, so no `FileEntry` is made of them."""


class _Side:
    """One table's current line, read only when somebody asks."""

    def __init__(self, lines: Iterator[bytes]) -> None:
        self._lines = lines
        self.step()

    def step(self) -> None:
        self.line = next(self._lines, b"")
        self._entry: RawEntry | None = None

    @property
    def entry(self) -> RawEntry:
        if self._entry is None:
            self._entry = json.loads(self.line) if self.line else {}
        return self._entry


def aligned(tables: Sequence[Iterator[bytes]]) -> Iterator[tuple[RawEntry, ...]]:
    """Entries by path, in walk order, one a table, where the lines are not all the same."""
    sides = [_Side(lines) for lines in tables]
    first = sides[0]
    while True:
        if all(side.line == first.line for side in sides):
            if not first.line:
                return
            met = sides
        else:
            path = _next_path(sides)
            met = [side for side in sides if side.entry and side.entry["path"] == path]
            yield tuple([side.entry if side in met else {} for side in sides])
        for side in met:
            side.step()


def _next_path(sides: Iterable[_Side]) -> str:
    paths: set[str] = {side.entry["path"] for side in sides if side.entry}
    return paths.pop() if len(paths) == 1 else min(paths, key=walk_key)


def _entry(raw: RawEntry) -> FileEntry | None:
    return FileEntry(**raw) if raw else None


def is_there(raw: RawEntry) -> bool:
    """Whether the path is on the machine: a `missing` row says that it is not."""
    return bool(raw) and raw["state"] != State.MISSING


def differing_fields(one: RawEntry, other: RawEntry, wanted: Iterable[str] = FIELDS) -> tuple[str, ...]:
    """Which of the fields are not the same on two entries that are both there."""
    if State.EXCLUDED in (one["state"], other["state"]):
        comparable = MOUNT_FIELDS if "mount" in (one["reason"], other["reason"]) else EXCLUDED_FIELDS
        wanted = [field for field in wanted if field in comparable]
    return tuple([field for field in wanted if one.get(field) != other.get(field) and _really(field, one, other)])


def _really(field: str, one: RawEntry, other: RawEntry) -> bool:
    """Whether two values that are not the same mean something else."""
    if field == "hardlink":
        # The first of a group names itself; whether there is a group shows in the others.
        return _group(one) != _group(other)
    return field != "size" or Kind.FILE in (one["type"], other["type"])


def _group(raw: RawEntry) -> str | None:
    first: str | None = raw.get("hardlink")
    return None if first == raw["path"] else first


Row = TypeVar("Row", bound=BaseModel)


def compare_rows(left: Iterable[Row], right: Iterable[Row], key: Callable[[Row], str], fields: Collection[str]) -> Iterator[RowDifference]:
    """Rows by key, sorted; those of one key in their order, since of accounts the first one counts. Lists are compared as sets."""
    ones, others = _by_key(left, key), _by_key(right, key)
    for name in sorted(ones.keys() | others.keys()):
        for one, other in zip_longest(ones.get(name, ()), others.get(name, ())):
            if one is None or other is None:
                yield RowDifference(name, one, other, (PRESENCE,))
            else:
                differing = tuple(field for field in fields if _plain(getattr(one, field)) != _plain(getattr(other, field)))
                if differing:
                    yield RowDifference(name, one, other, differing)


def _by_key(rows: Iterable[Row], key: Callable[[Row], str]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return found


def _plain(value: Any) -> Any:
    return sorted(value) if isinstance(value, list) else value


PACKAGE_FIELDS = ("version", "status", "hold", "wanted", "flag", "auto")
USER_FIELDS = ("uid", "gid", "gecos", "home", "shell", "password")
GROUP_FIELDS = ("gid", "members")
SERVICE_FIELDS = ("state", "wanted_by", "exec")


def compare_packages(left: Report, right: Report, fields: Collection[str] = PACKAGE_FIELDS) -> Iterator[RowDifference]:
    """By `name:arch`."""

    def key(row: Package) -> str:
        return f"{row.name}:{row.arch}"

    return compare_rows(left.head.packages, right.head.packages, key, fields)


def compare_users(left: Report, right: Report, fields: Collection[str] = USER_FIELDS) -> Iterator[RowDifference]:
    """By name."""

    def key(row: User) -> str:
        return row.name

    return compare_rows(left.head.users, right.head.users, key, fields)


def compare_groups(left: Report, right: Report, fields: Collection[str] = GROUP_FIELDS) -> Iterator[RowDifference]:
    """By name."""

    def key(row: Group) -> str:
        return row.name

    return compare_rows(left.head.groups, right.head.groups, key, fields)


def compare_services(left: Report, right: Report, fields: Collection[str] = SERVICE_FIELDS) -> Iterator[RowDifference]:
    """By unit name."""

    def key(row: Service) -> str:
        return row.name

    return compare_rows(left.head.services, right.head.services, key, fields)
