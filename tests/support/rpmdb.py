"""Fabricated rpm headers and databases, for machines that have no rpm."""

from __future__ import annotations

import hashlib
import sqlite3
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

Value = int | bytes | Sequence[int] | Sequence[bytes]
INT16 = (1030, 1033)
INT64 = (5008, 5009)
CHAR = (1029,)
ARRAYS = (1035, 1036, 1039, 1040, 1117, 1118, 5010)


@dataclass
class Shipped:
    """One file of a package as its header tells of it."""

    path: str
    data: bytes = b""
    mode: int = 0o100644
    user: str = "root"
    group: str = "root"
    target: str = ""
    flags: int = 0
    verify: int = 0xFFFFFFFF
    state: int = 0
    caps: str = ""
    mtime: int = 0
    device: int = 0


def header(name: str, files: Sequence[Shipped] = (), *, algorithm: str = "sha256", tags: Mapping[int, Value] | None = None) -> bytes:
    """The blob of one installed package."""
    values: dict[int, Value] = {1000: name.encode(), 1001: b"1.0", 1002: b"1", 1022: b"x86_64", 1044: f"{name}-1.0-1.src.rpm".encode()}
    if files:
        values |= _files(files, algorithm)
    return pack(values | dict(tags or {}))


def _files(files: Sequence[Shipped], algorithm: str) -> dict[int, Value]:
    folders = sorted({one.path.rpartition("/")[0] + "/" for one in files})
    regular = [one.mode >> 12 == 8 and not one.flags & 64 for one in files]
    return {
        1028: [len(one.data) for one in files],
        1029: [one.state for one in files],
        1030: [one.mode for one in files],
        1033: [one.device for one in files],
        1034: [one.mtime for one in files],
        1035: [hashlib.new(algorithm, one.data).hexdigest().encode() if plain else b"" for one, plain in zip(files, regular, strict=True)],
        1036: [one.target.encode() for one in files],
        1037: [one.flags for one in files],
        1039: [one.user.encode() for one in files],
        1040: [one.group.encode() for one in files],
        1045: [one.verify for one in files],
        1116: [folders.index(one.path.rpartition("/")[0] + "/") for one in files],
        1117: [one.path.rpartition("/")[2].encode() for one in files],
        1118: [folder.encode() for folder in folders],
        5010: [one.caps.encode() for one in files],
        5011: {"md5": 1, "sha1": 2, "sha256": 8, "sha512": 10}[algorithm],
    }


def pack(values: Mapping[int, Value]) -> bytes:
    """A header of these tags."""
    index, store = b"", b""
    for tag, value in sorted(values.items()):
        kind, count, data, align = _item(tag, value)
        store += b"\0" * (-len(store) % align)
        index += struct.pack(">4I", tag, kind, len(store), count)
        store += data
    return struct.pack(">II", len(values), len(store)) + index + store


def _item(tag: int, value: Value) -> tuple[int, int, bytes, int]:
    if isinstance(value, bytes):
        return (6, 1, value + b"\0", 1) if tag not in ARRAYS else (8, 1, value + b"\0", 1)
    items = [value] if isinstance(value, int) else list(value)
    if tag in ARRAYS:
        return 8, len(items), b"".join(bytes(one) + b"\0" for one in items), 1  # type: ignore[arg-type]
    kind, letter, width = (3, "H", 2) if tag in INT16 else (5, "Q", 8) if tag in INT64 else (1, "B", 1) if tag in CHAR else (4, "I", 4)
    return kind, len(items), struct.pack(f">{len(items)}{letter}", *items), width


def write(root: Path, blobs: Sequence[bytes], folder: str = "var/lib/rpm", *, wal: bool = False) -> Path:
    """`rpmdb.sqlite` with these packages; with `wal`, all of them are still in the write-ahead log."""
    place = root / folder / "rpmdb.sqlite"
    place.parent.mkdir(parents=True, exist_ok=True)
    database = sqlite3.connect(place)
    if wal:
        database.execute("PRAGMA journal_mode = WAL")
    database.execute("CREATE TABLE IF NOT EXISTS Packages (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL)")
    database.executemany("INSERT INTO Packages (blob) VALUES (?)", [(blob,) for blob in blobs])
    database.commit()
    if wal:
        rows = {suffix: Path(f"{place}{suffix}").read_bytes() for suffix in ("", "-wal")}
        database.close()
        for suffix, raw in rows.items():
            Path(f"{place}{suffix}").write_bytes(raw)
    else:
        database.close()
    return place
