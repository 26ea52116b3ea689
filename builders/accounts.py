"""Accounts: the source's passwd, group, shadow and gshadow win; what only the base has is added, and moved out of the way on a clash."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from scanner.report import Group, User

TABLES = ("passwd", "group", "shadow", "gshadow")
_FREE = range(100, 1000)
"""Debian policy 9.2.2: ids given out dynamically to system accounts."""


@dataclass(slots=True)
class Merged:
    """The merged tables, what of them only the base has, and the ids that base-only accounts had to give up (old -> new)."""

    tables: dict[str, str]
    added: dict[str, list[str]] = field(default_factory=dict)
    """Table -> its lines that the source does not have."""
    moved_uids: dict[int, int] = field(default_factory=dict)
    moved_gids: dict[int, int] = field(default_factory=dict)


def read_tables(etc: Path) -> dict[str, str]:
    """The four tables as text; bytes that are not UTF-8 survive as surrogates. Absent tables are empty."""
    return {name: _read(etc / name) for name in TABLES}


def _read(path: Path) -> str:
    return path.read_bytes().decode(errors="surrogateescape") if path.is_file() and not path.is_symlink() else ""


def from_report(users: Iterable[User], groups: Iterable[Group]) -> dict[str, str]:
    """Tables for a scan without overlay: the accounts are there, no password is (every account is locked)."""
    users, groups = list(users), list(groups)
    return {
        "passwd": "".join(f"{u.name}:x:{u.uid}:{u.gid}:{u.gecos}:{u.home}:{u.shell}\n" for u in users),
        "group": "".join(f"{g.name}:x:{g.gid}:{','.join(g.members)}\n" for g in groups),
        "shadow": "".join(f"{u.name}:!:19000:0:99999:7:::\n" for u in users),
        "gshadow": "".join(f"{g.name}:!::{','.join(g.members)}\n" for g in groups),
    }


def merge(source: dict[str, str], base: dict[str, str]) -> Merged:
    """The source's lines first and untouched, then the base's own accounts, with new ids where theirs are taken."""
    gids = _moves(source["group"], base["group"])
    uids = _moves(source["passwd"], base["passwd"])
    moved: dict[str, dict[int, dict[int, int]]] = {"group": {2: gids}, "passwd": {2: uids, 3: gids}}
    added = {name: _rest(source[name], base[name], moved.get(name, {})) for name in TABLES}
    tables = {name: _ended(source[name]) + "".join(f"{line}\n" for line in added[name]) for name in TABLES}
    return Merged(tables, added, uids, gids)


def _ended(table: str) -> str:
    return table + "\n" if table and not table.endswith("\n") else table


def _rows(table: str) -> Iterator[list[str]]:
    # Comments and the lines of NIS (`+::::::`) are no accounts. Only a line feed ends a line: str.splitlines knows more.
    rows = (line.split(":") for line in table.split("\n") if not line.startswith("#"))
    return (row for row in rows if len(row) > 2 and row[2].isascii() and row[2].isdecimal())


def _moves(source: str, base: str) -> dict[int, int]:
    """Old id -> new id of the base's entries: those the source knows by another number, and those whose number is taken."""
    known = {row[0]: int(row[2]) for row in _rows(source)}
    ours = {row[0]: int(row[2]) for row in _rows(base)}
    taken = set(known.values()) | set(ours.values())
    moves = {number: known[name] for name, number in ours.items() if name in known and known[name] != number}
    for name, number in ours.items():
        if name not in known and number in known.values():
            new = next(candidate for candidate in reversed(_FREE) if candidate not in taken)
            taken.add(new)
            moves[number] = new
    return moves


def _rest(source: str, base: str, moves: dict[int, dict[int, int]]) -> list[str]:
    known = {line.partition(":")[0] for line in source.split("\n")}
    lines = []
    for line in base.split("\n"):
        fields = line.split(":")
        if not line or fields[0] in known:
            continue
        for position, table in moves.items():
            fields[position] = str(table.get(int(fields[position]), int(fields[position])))
        lines.append(":".join(fields))
    return lines
