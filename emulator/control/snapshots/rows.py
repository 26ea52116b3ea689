"""Tables as JSON, one file each, and back again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sqlalchemy import Table, insert, select, text
from sqlmodel import Session, SQLModel

from scanner.errors import UserError

Rows = list[tuple[Table, list[dict[str, Any]]]]
"""In the order in which they can be inserted."""


def write(session: Session, folder: Path) -> tuple[dict[str, int], dict[str, int]]:
    """Every table into `folder/NAME.json`; how many rows each has, and the last number that was given in each."""
    from emulator.storage import tables  # noqa: F401  (the tables register themselves when imported)

    folder.mkdir(mode=0o700)
    counts = {}
    for table in SQLModel.metadata.sorted_tables:
        rows = [dict(row) for row in session.execute(select(table).order_by(*table.primary_key)).mappings()]
        (folder / f"{table.name}.json").write_text(json.dumps(rows, indent=1), encoding="utf-8")
        counts[table.name] = len(rows)
    sequences = session.execute(text("SELECT name, seq FROM sqlite_sequence ORDER BY name")).all()
    return counts, {str(name): int(seq) for name, seq in sequences}


def read(folder: Path) -> Rows:
    """The same, before anything is changed. Raises `UserError` for what does not fit the tables."""
    from emulator.storage import tables  # noqa: F401

    known = {table.name: table for table in SQLModel.metadata.sorted_tables}
    files = {file.stem: file for file in folder.glob("*.json")}
    problems = [f"{name}: there is no such table" for name in sorted(files.keys() - known.keys())]
    problems += [f"{name}: its rows are missing" for name in sorted(known.keys() - files.keys())]
    found = []
    for name in [table.name for table in SQLModel.metadata.sorted_tables if table.name in files]:
        rows, wrong = _rows(files[name], known[name])
        problems += wrong
        found.append((known[name], rows))
    if problems:
        raise UserError("the snapshot does not fit the database", problems=problems, hint="load it with the Forgelet that made it")
    return found


def _rows(file: Path, table: Table) -> tuple[list[dict[str, Any]], list[str]]:
    columns = {column.name for column in table.columns}
    begin: dict[str, Any] = {column.name: None for column in table.columns if column.nullable and not column.primary_key}
    try:
        rows = [{**begin, **row} for row in json.loads(file.read_bytes())]
        wrong = [f"{table.name}: row {number} has other columns" for number, row in enumerate(rows) if set(row) != columns]
    except (ValueError, TypeError) as error:
        return [], [f"{table.name}: {error}"]
    return rows, wrong[:3]


def replace(session: Session, found: Rows, sequences: dict[str, int]) -> None:
    """The tables have these rows and no others, in the caller's transaction."""
    session.execute(text("PRAGMA defer_foreign_keys=ON"))
    for table, _ in reversed(found):
        session.execute(table.delete())
    for table, rows in found:
        if rows:
            session.execute(insert(table), rows)
    session.execute(text("DELETE FROM sqlite_sequence"))
    for name, last in sequences.items():
        session.execute(text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :last)"), {"name": name, "last": last})
