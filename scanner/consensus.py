"""Several reports of machines that should be alike -> what is not the same in all of them, what most say, and who stands apart."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import BaseModel

from scanner.compare import (
    FIELDS,
    GROUP_FIELDS,
    PACKAGE_FIELDS,
    PRESENCE,
    SERVICE_FIELDS,
    USER_FIELDS,
    RawEntry,
    aligned,
    differing_fields,
    is_there,
)
from scanner.report import Report

Row = Mapping[str, Any]
Differ = Callable[[Row, Row], tuple[str, ...]]
"""Which fields differ between two rows that are both there."""


class Spread(NamedTuple):
    """One path, package, user, group or service that is not the same in all reports."""

    name: str
    rows: tuple[Row | None, ...]
    """One a report, in their order; None where it is not there (a `missing` path is not there)."""
    fields: tuple[str, ...]
    """What differs; `presence` alone when it is not everywhere and equal where it is."""
    outliers: tuple[int, ...]
    """Which reports (by position) are not with the majority; () when no group of equal rows is more than half."""


def spread_files(reports: Sequence[Report], fields: Collection[str] = FIELDS) -> Iterator[Spread]:
    """Every path that differs, in walk order; the tables are read as streams. Raises ValueError when a table is damaged."""
    wanted = tuple(field for field in FIELDS if field in fields)

    def differ(one: Row, other: Row) -> tuple[str, ...]:
        return differing_fields(dict(one), dict(other), wanted)

    for entries in aligned([report.lines() for report in reports]):
        found = _spread(_path(entries), [entry if is_there(entry) else None for entry in entries], differ)
        if found:
            yield found


def _path(entries: Iterable[RawEntry]) -> str:
    return next(str(entry["path"]) for entry in entries if entry)


def spread_packages(reports: Sequence[Report]) -> Iterator[Spread]:
    """By `name:arch`."""
    yield from _rows([{f"{one.name}:{one.arch}": one for one in report.head.packages} for report in reports], PACKAGE_FIELDS)


def spread_accounts(reports: Sequence[Report]) -> Iterator[Spread]:
    """Users by name, then groups as `group NAME`."""
    yield from _rows([{one.name: one for one in report.head.users} for report in reports], USER_FIELDS)
    yield from _rows([{f"group {one.name}": one for one in report.head.groups} for report in reports], GROUP_FIELDS)


def spread_services(reports: Sequence[Report]) -> Iterator[Spread]:
    """By unit name; drop-ins and schedules count as well."""
    yield from _rows([{one.name: one for one in report.head.services} for report in reports], (*SERVICE_FIELDS, "dropins", "schedule"))


def _rows(tables: Sequence[Mapping[str, BaseModel]], fields: Sequence[str]) -> Iterator[Spread]:
    def differ(one: Row, other: Row) -> tuple[str, ...]:
        return tuple(field for field in fields if one[field] != other[field])

    for name in sorted(set().union(*tables)):
        found = _spread(name, [_plain(table.get(name), fields) for table in tables], differ)
        if found:
            yield found


def _plain(row: BaseModel | None, fields: Iterable[str]) -> Row | None:
    """The compared fields; lists as sets are, in order."""
    if row is None:
        return None
    values = ((field, getattr(row, field)) for field in fields)
    return {field: sorted(value) if isinstance(value, list) else value for field, value in values}


def _spread(name: str, rows: Sequence[Row | None], differ: Differ) -> Spread | None:
    """None when all are the same."""
    groups: list[list[int]] = []
    fields: dict[str, None] = {}
    for number, row in enumerate(rows):
        for group in groups:
            found = _between(rows[group[0]], row, differ)
            if not found:
                group.append(number)
                break
            fields.update(dict.fromkeys(found))
        else:
            groups.append([number])
    if len(groups) < 2:
        return None
    told = tuple(field for field in fields if field != PRESENCE) or (PRESENCE,)
    return Spread(name, tuple(rows), told, _outliers(groups, len(rows)))


def _between(one: Row | None, other: Row | None, differ: Differ) -> tuple[str, ...]:
    if one is None or other is None:
        return () if one is other else (PRESENCE,)
    return differ(one, other)


def _outliers(groups: Sequence[Sequence[int]], count: int) -> tuple[int, ...]:
    largest = max(groups, key=len)
    if len(largest) * 2 <= count:
        return ()
    return tuple(number for number in range(count) if number not in largest)
