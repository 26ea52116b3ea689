"""The journal's storage: a database of its own beside the service's, so that a reset or a snapshot does not touch it.

Entries are written by one thread, in batches: a request pays for putting its entry into a queue and for nothing else.
"""

from __future__ import annotations

import json
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emulator.wire.answer import dumps

log = logging.getLogger("forgelet.journal")
KEPT = 5000
"""Entries; older ones go."""
_BATCH = 200
_SCHEMA = """
CREATE TABLE IF NOT EXISTS entry (
  id INTEGER PRIMARY KEY AUTOINCREMENT, time TEXT NOT NULL, kind TEXT NOT NULL, user TEXT NOT NULL, method TEXT NOT NULL, path TEXT NOT NULL,
  operation TEXT NOT NULL, status INTEGER NOT NULL, job INTEGER NOT NULL, unread INTEGER NOT NULL, told TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS mark (job_event INTEGER NOT NULL);
INSERT INTO mark SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM mark);
"""

Entry = dict[str, Any]
Made = Callable[[], Entry]
"""An entry that is put together when it is written."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries are asked for; what is empty does not matter."""

    kind: str = ""
    user: str = ""
    method: str = ""
    path: str = ""
    """`*` is any characters."""
    operations: tuple[str, ...] = ()
    status: str = ""
    """`404`, or `4xx`"""
    job: int = 0
    unread: bool = False
    after: int = 0
    """Only what came after the entry of this number."""

    def where(self) -> tuple[str, list[Any]]:
        """As SQL."""
        low, high = (int(self.status[0]) * 100, int(self.status[0]) * 100 + 99) if self.status.endswith("xx") else (self.status or 0,) * 2
        conditions: list[tuple[bool, str, list[Any]]] = [
            (bool(self.kind), "kind = ?", [self.kind]),
            (bool(self.user), "user = ?", [self.user]),
            (bool(self.method), "method = ?", [self.method.upper()]),
            (bool(self.path), "path GLOB ?", [self.path.replace("[", "[[]").replace("?", "[?]")]),
            (bool(self.operations), f"operation IN ({', '.join('?' * len(self.operations))})", list(self.operations)),
            (bool(self.status), "status BETWEEN ? AND ?", [low, high]),
            (bool(self.job), "job = ?", [self.job]),
            (self.unread, "unread > 0", []),
            (bool(self.after), "id > ?", [self.after]),
        ]
        used = [(text, values) for on, text, values in conditions if on]
        return " AND ".join(text for text, _ in used) or "1", [value for _, values in used for value in values]


class Book:
    """The journal of one data folder; the file is made when the first entry is written."""

    def __init__(self, path: Path, kept: int = KEPT) -> None:
        self._path, self._kept = path, kept
        self._queue: queue.SimpleQueue[Made | threading.Event | None] = queue.SimpleQueue()
        self._lock = threading.RLock()
        self.turn = threading.RLock()
        """Held by whoever brings events of jobs here: one at a time."""
        self._thread: threading.Thread | None = None
        self._database: sqlite3.Connection | None = None

    def put(self, made: Made) -> None:
        """One more entry. Returns at once."""
        self._queue.put(made)
        if self._thread is None:
            with self._lock:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._write, name="journal", daemon=True)
                    self._thread.start()

    def flush(self) -> None:
        """Return when all that was put is written."""
        if self._thread is not None:
            written = threading.Event()
            self._queue.put(written)
            written.wait(10)

    def find(self, number: int) -> Entry | None:
        """One entry, whole."""
        with self._lock:
            row = self._open().execute("SELECT id, told FROM entry WHERE id = ?", (number,)).fetchone()
        return {"id": row[0], **json.loads(row[1])} if row else None

    def read(self, wanted: Wanted, limit: int, *, oldest: bool = False) -> list[Entry]:
        """Up to `limit` entries in their order: the last ones, or with `oldest` the first."""
        text, values = wanted.where()
        with self._lock:
            rows = self._open().execute(f"SELECT id, told FROM entry WHERE {text} ORDER BY id {'' if oldest else 'DESC'} LIMIT ?", [*values, limit]).fetchall()
        return [{"id": number, **json.loads(told)} for number, told in (rows if oldest else reversed(rows))]

    def last(self) -> int:
        """The number of the newest entry."""
        with self._lock:
            return int(self._open().execute("SELECT coalesce(max(id), 0) FROM entry").fetchone()[0])

    def clear(self) -> None:
        """Forget every entry; numbers go on."""
        self.flush()
        with self._lock:
            self._open().execute("DELETE FROM entry")

    @property
    def mark(self) -> int:
        """The last event of a job that is written down, by its number in the service's database."""
        with self._lock:
            return int(self._open().execute("SELECT job_event FROM mark").fetchone()[0])

    @mark.setter
    def mark(self, number: int) -> None:
        with self._lock:
            self._open().execute("UPDATE mark SET job_event = ?", (number,))

    def add(self, entries: Sequence[Entry]) -> None:
        """Write these now."""
        with self._lock:
            database = self._open()
            rows = list(map(_row, entries))
            database.execute("BEGIN")
            # Kept when it ends well, undone when it does not.
            with database:
                database.executemany("INSERT INTO entry (time, kind, user, method, path, operation, status, job, unread, told) VALUES (?,?,?,?,?,?,?,?,?,?)", rows)
                database.execute("DELETE FROM entry WHERE id <= (SELECT max(id) FROM entry) - ?", (self._kept,))

    def close(self) -> None:
        """Write the rest and give the file back."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join(5)
            self._thread = None
        with self._lock:
            if self._database is not None:
                self._database.close()
                self._database = None

    def _open(self) -> sqlite3.Connection:
        if self._database is None:
            # Readable by the owner only, as everything in the data folder: made before SQLite would make it.
            self._path.touch(mode=0o600)
            self._database = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
            # What a crash of the machine loses of the journal is no loss of the service's.
            for pragma in ("journal_mode=WAL", "synchronous=OFF"):
                self._database.execute(f"PRAGMA {pragma}").close()
            self._database.executescript(_SCHEMA)
        return self._database

    def _write(self) -> None:
        while True:
            batch: list[Made | threading.Event | None] = [self._queue.get()]
            while len(batch) < _BATCH and not self._queue.empty():
                batch.append(self._queue.get())
            try:
                entries = [one() for one in batch if callable(one)]
                if entries:
                    self.add(entries)
            except Exception:
                log.exception("the journal could not be written")
            for one in batch:
                if isinstance(one, threading.Event):
                    one.set()
            if None in batch:
                return


def _row(entry: Entry) -> tuple[Any, ...]:
    words = [entry.get(key, "") for key in ("time", "kind", "user", "method", "path", "operation")]
    job = entry["job"]["dbId"] if entry["kind"] == "job" else 0
    return (*words, entry.get("status", 0), job, len(entry.get("unread", ())), dumps(entry))
