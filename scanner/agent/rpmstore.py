"""The headers of all installed packages out of rpm's database, read without rpm and without running anything of the target.

Three formats are read: SQLite (`rpmdb.sqlite`, table Packages(hnum, blob)), rpm's own "ndb" (`Packages.db`) and Berkeley DB's hash
table (`Packages`). Berkeley DB's log files are not replayed: what is not yet in the table is not seen.
"""

import os
import struct
from typing import Iterator, List, Tuple

from scanner.agent.tree import Root

FOLDERS = (b"/usr/lib/sysimage/rpm", b"/var/lib/rpm", b"/usr/share/rpm")
"""Where distributions keep the database; the older place is often a link to the newer one."""
SQLITE, NDB, BERKELEY = b"/rpmdb.sqlite", b"/Packages.db", b"/Packages"
AT_MOST = 2 << 30
HASH_MAGIC = 0x61561
HASH_PAGES = (2, 13)
"""Types of pages of Berkeley DB: a hash page, unsorted and sorted."""
IN_PLACE, OFF_PAGE = b"\x01", b"\x03"
PAGE = 4096
SLOT = struct.Struct("<4sIII")
"""Of ndb: magic, package number, offset and length in blocks of 16 bytes."""


class Unreadable(Exception):
    """There is a database, and it cannot be read; says why."""


def headers(root: Root) -> Tuple[bytes, Iterator[bytes]]:
    """The database's path and its headers. The path is empty where the machine has none. Iterating raises `Unreadable`."""
    for folder in FOLDERS:
        for name, read in ((SQLITE, _sqlite), (NDB, _ndb), (BERKELEY, _berkeley)):
            path = folder + name
            if _is_file(root, path):
                return path, read(root, path)
    return b"", iter(())


def _is_file(root: Root, path: bytes) -> bool:
    return path.rpartition(b"/")[2] in root.names(path.rpartition(b"/")[0])


def _berkeley(root: Root, path: bytes) -> Iterator[bytes]:
    """Of the hash table that rpm kept up to 4.15: pages of offsets, values on chains of overflow pages (db's `db_page.h`)."""
    raw = root.read(path, AT_MOST) or b""
    order = next((sign for sign in "<>" if raw[12:16] == struct.pack(sign + "I", HASH_MAGIC)), "")
    if not order:
        raise Unreadable("the rpm database cannot be read: it is no hash table of Berkeley DB")
    try:
        (size,) = struct.unpack_from(order + "I", raw, 20)
        if size < 512 or size & (size - 1):
            raise Unreadable("the rpm database cannot be read: it is damaged")
        for page in range(size, len(raw), size):
            for key, value in _pairs(raw, page, size, order):
                # Number 0 is no package: it has the number to give next.
                if key.strip(b"\0"):
                    yield value
    except struct.error as error:
        raise Unreadable("the rpm database cannot be read: %s" % error)


def _pairs(raw: bytes, page: int, size: int, order: str) -> Iterator[Tuple[bytes, bytes]]:
    """Keys and values of one page; nothing of a page that is no hash page."""
    entries, _, kind = struct.unpack_from(order + "HHxB", raw, page + 20)
    if kind not in HASH_PAGES:
        return
    starts = [page + start for start in struct.unpack_from("%s%dH" % (order, entries), raw, page + 26)]
    ends = [page + size, *starts[:-1]]
    items = [_item(raw, start, end, size, order) for start, end in zip(starts, ends)]  # noqa: B905
    yield from zip(items[::2], items[1::2])  # noqa: B905


def _item(raw: bytes, start: int, end: int, size: int, order: str) -> bytes:
    if raw[start : start + 1] == IN_PLACE:
        return raw[start + 1 : end]
    if raw[start : start + 1] != OFF_PAGE:
        raise Unreadable("the rpm database cannot be read: an item is of an unknown kind")
    page, length = struct.unpack_from(order + "II", raw, start + 4)
    found: List[bytes] = []
    for _ in range(len(raw) // size):
        if not page:
            break
        (after,) = struct.unpack_from(order + "I", raw, page * size + 16)
        found.append(raw[page * size + 26 : (page + 1) * size])
        page = after
    return b"".join(found)[:length]


def _sqlite(root: Root, path: bytes) -> Iterator[bytes]:
    """Of a copy, made beside nothing of the target's: opening a database in WAL mode writes next to it."""
    try:
        import sqlite3
        import tempfile
    except ImportError:
        raise Unreadable("the rpm database needs a Python with sqlite3: packages and owners are not known")
    with tempfile.TemporaryDirectory(prefix="uforge-scan-") as scratch:
        copy = os.path.join(scratch, "rpmdb.sqlite")
        try:
            _copy(root, path, copy)
            _copy(root, path + b"-wal", copy + "-wal")
            with sqlite3.connect(copy) as database:
                database.execute("PRAGMA trusted_schema = OFF")
                for (blob,) in database.execute("SELECT blob FROM Packages ORDER BY hnum"):
                    yield bytes(blob)
            database.close()
        except (OSError, TypeError, sqlite3.Error) as error:
            raise Unreadable("the rpm database cannot be read: %s" % error)


def _copy(root: Root, path: bytes, to: str) -> None:
    raw = root.read(path, AT_MOST)
    if raw:
        with open(to, "wb") as out:
            out.write(raw)


def _ndb(root: Root, path: bytes) -> Iterator[bytes]:
    raw = root.read(path, AT_MOST) or b""
    if raw[:4] != b"RpmP":
        raise Unreadable("the rpm database cannot be read: it is no ndb")
    (pages,) = struct.unpack_from("<I", raw, 12)
    try:
        for offset in _slots(raw, pages):
            magic, _, _, length = struct.unpack_from("<4sIII", raw, offset)
            if magic != b"BlbS" or offset + 16 + length > len(raw):
                raise Unreadable("the rpm database cannot be read: a header is damaged")
            yield raw[offset + 16 : offset + 16 + length]
    except struct.error as error:
        raise Unreadable("the rpm database cannot be read: %s" % error)


def _slots(raw: bytes, pages: int) -> List[int]:
    """Offsets of the packages in use, by their number."""
    slots = [SLOT.unpack_from(raw, at) for at in range(32, min(pages * PAGE, len(raw) - 15), 16)]
    return [offset * 16 for _, offset in sorted((number, offset) for magic, number, offset, _ in slots if magic == b"Slot" and offset)]
