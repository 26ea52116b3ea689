"""The database: SQLite in WAL mode, shared by the service and its jobs' processes.

Writers take the lock at the start of their transaction (BEGIN IMMEDIATE), so that none fails half-way; who must wait, waits up to
`BUSY` milliseconds. Readers never wait.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, event
from sqlmodel import Session, SQLModel, create_engine

BUSY = 30_000


def _on_connect(connection: Any, _record: object) -> None:
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", f"busy_timeout={BUSY}", "foreign_keys=ON", "synchronous=NORMAL"):
        connection.execute(f"PRAGMA {pragma}").close()


def _on_begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _parsed(text: str) -> Any:
    """JSON of a column; most of them hold nothing."""
    if text == "[]":
        return []
    if text == "{}":
        return {}
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        # Lone surrogates: names that are not UTF-8.
        return json.loads(text)


class Database:
    """The one door to the tables: `read()` and `write()` give sessions, each one transaction."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.engine: Engine = create_engine(f"sqlite:///{path}", connect_args={"check_same_thread": False}, json_deserializer=_parsed)
        event.listen(self.engine, "connect", _on_connect)
        event.listen(self.engine, "begin", _on_begin)
        self._writer = self.engine.execution_options(writes=True)
        self._watcher: sqlite3.Connection | None = None

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A consistent view; nothing done in it is kept."""
        with Session(self.engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A transaction that is kept when the block ends well, and undone when it does not."""
        with Session(self._writer, expire_on_commit=False) as session:
            yield session
            session.commit()

    def version(self) -> int:
        """Another number whenever something was kept, by whomever (PRAGMA data_version: of a connection that itself writes nothing). For one
        thread, that of the event loop."""
        if self._watcher is None:
            self._watcher = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        return int(self._watcher.execute("PRAGMA data_version").fetchone()[0])

    def flush(self) -> None:
        """What was kept so far outlives a power cut (a commit alone does not wait for the disk: WAL, synchronous=NORMAL)."""
        with suppress(FileNotFoundError):
            log = os.open(f"{self.path}-wal", os.O_RDONLY)
            try:
                os.fsync(log)
            finally:
                os.close(log)

    def close(self) -> None:
        """Give back the connections."""
        if self._watcher is not None:
            self._watcher.close()
            self._watcher = None
        self.engine.dispose()


def create_tables(database: Database) -> None:
    """Make every table that is not there."""
    from emulator.storage import tables  # noqa: F401  (the tables register themselves when imported)

    SQLModel.metadata.create_all(database.engine)
