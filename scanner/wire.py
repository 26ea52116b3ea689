"""The service's end of the agent's wire (`scanner/agent/__main__.py`): everything is checked, nothing is taken on trust.

A target may lie: lines without end, other schemas, paths that lead elsewhere, a stream that stops in the middle. Whatever is not
exactly what the wire promises raises `HostileInput`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any, BinaryIO, Protocol

from pydantic import ValidationError

from scanner.configuration import ROWS
from scanner.errors import HostileInput
from scanner.report import (
    LONGEST_LINE,
    BlindSpot,
    FileEntry,
    Group,
    Kind,
    Package,
    Repository,
    ScanReport,
    Service,
    State,
    System,
    User,
    walk_key,
)

SCHEMA = 1
MOST_LINES = 50_000_000
STATES = frozenset(State)
KINDS = frozenset(Kind)
MODE = re.compile(r"[0-7]{4}|")
SHA256 = re.compile(r"[0-9a-f]{64}")
DEVICE = re.compile(r"\d{1,10}:\d{1,10}")
FLAGS = re.compile(r"[A-Za-z]{0,32}")
SECRET = re.compile(r"[A-Za-z ]{1,32}")
OPTIONAL = ("sha256", "target", "package", "hardlink", "device", "secret")
NUMBERS = ("uid", "gid", "size", "mtime")
FILE_LINE = b'{"kind":"file",'
SEEN = rb"\d{1,20}:\d{1,20}:\d{1,20}:-?\d{1,20}:-?\d{1,20}(?: [a-z0-9]{1,16}=[0-9a-f]{32,128}){0,4}"
PLAIN_LINE = re.compile(
    rb'\{"kind":"file",(?:"seen":"' + SEEN + rb'",)?'
    rb'("path":"(/|(?:/(?!\.{1,2}[/"])[ !#-.0-\[\]-~]+)+)",'
    rb'"type":"(?:file|directory|symlink)","state":"(managed|conffile-changed|managed-changed|unmanaged)","reason":"[a-z0-9-]+",'
    rb'"mode":"[0-7]{4}","uid":(?:0|[1-9]\d{0,9}),"gid":(?:0|[1-9]\d{0,9}),"size":(?:0|[1-9]\d{0,18}),"mtime":(?:0|-?[1-9]\d{0,18})'
    rb'(?:,"sha256":"[0-9a-f]{64}")?(?:,"target":"[ !#-\[\]-~]+")?(?:,"package":"[ !#-\[\]-~]+")?\})\n'
)
"""What nearly every line of a file table looks like: exactly what `check` would let pass and `to_json` would write, told by one match."""


class Table(Protocol):
    """Where the lines of the file table go."""

    def write(self, data: bytes, /) -> int: ...


class Inventory:
    """Reads one stream into a report's head and a file table. `seen` is told the number of paths so far and about how many there are.

    Lines by which the next scan knows files again go to `known` as they came.
    """

    def __init__(self, head: ScanReport, table: Table, seen: Callable[[int, int], None], known: Table | None = None) -> None:
        self._head = head
        self._table = table
        self._seen = seen
        self._known = known
        self._counts: Counter[str] = Counter(files=0)
        self._digest = hashlib.sha256()
        self._last: bytes | None = None
        self._expected = 0
        self._started = False
        self._ended = False
        self._heads: dict[str, Callable[[dict[str, Any]], None]] = {
            "start": self._start,
            "system": self._system,
            "repository": lambda row: head.repositories.append(Repository(**row)),
            "package": lambda row: head.packages.append(Package(**row)),
            "user": lambda row: head.users.append(User(**row)),
            "group": lambda row: head.groups.append(Group(**row)),
            "service": lambda row: head.services.append(Service(**row)),
            "mount": self._mount,
            "network": self._network,
            **{kind: partial(head.configuration.add, kind) for kind in ROWS},
            "blind_spot": lambda row: head.blind_spots.append(BlindSpot(**row)),
            "end": self._end,
        }

    def read(self, stream: BinaryIO) -> None:
        """To the stream's end. Raises `HostileInput`."""
        for number in range(1, MOST_LINES):
            line = stream.readline(LONGEST_LINE)
            if not line:
                break
            try:
                self._line(line)
            except (ValueError, TypeError, RecursionError, KeyError, AttributeError) as error:
                raise _refused(number, error) from error
        if not self._ended:
            raise HostileInput("the inventory stopped before its end", hint="scan again; the target's connection or disk may have failed")

    def _line(self, line: bytes) -> None:
        plain = PLAIN_LINE.fullmatch(line)
        if plain and not self._ended:
            body, path, state = plain.groups()
            self._add(path[1:].replace(b"/", b"\0"), state.decode("ascii"), b"{" + body + b"\n")
            if self._known and plain.start(1) > len(FILE_LINE):
                self._known.write(line)
            return
        if not line.endswith(b"\n"):
            raise ValueError("a line is cut or longer than allowed")
        if self._ended:
            raise ValueError("there is more after the end")
        row = json.loads(line)
        if not isinstance(row, dict):
            raise ValueError("a line is no object")
        kind = row.pop("kind")
        if kind == "file":
            seen = row.pop("seen", None)
            self._file(check(FileEntry(**row)))
            if seen is not None:
                self._remember(seen, line)
            return
        if not self._started and kind != "start":
            raise ValueError("it does not begin with 'start'")
        if kind not in self._heads:
            raise ValueError("unknown kind of line")
        if kind not in ("start", "end"):
            self._counts[kind] += 1
        self._heads[kind](row)

    def _file(self, entry: FileEntry) -> None:
        line = entry.to_json().encode("ascii") + b"\n"
        self._add(walk_key(entry.path), entry.state, line, canonical(entry, line))

    def _remember(self, seen: object, line: bytes) -> None:
        if not isinstance(seen, str) or not re.fullmatch(SEEN, seen.encode("ascii", "replace")):
            raise ValueError("'seen' is not a stamp")
        if self._known:
            self._known.write(line)

    def _add(self, key: bytes, state: str, line: bytes, stable: bytes | None = None) -> None:
        """A line of the file table, checked; `stable` is what of it is in the digest, when not all of it."""
        if self._last is not None and key <= self._last:
            raise ValueError("paths are not in walk order")
        if not self._started or (self._last is None and key):
            raise ValueError("the file table does not begin with /")
        self._last = key
        self._table.write(line)
        self._digest.update(line if stable is None else stable)
        self._counts[state] += 1
        self._counts["files"] += 1
        if self._counts["files"] % 500 == 0:
            self._seen(self._counts["files"], self._expected)

    def _start(self, row: dict[str, Any]) -> None:
        if row["schema"] != SCHEMA or self._started:
            raise ValueError(f"not the schema that is spoken here ({SCHEMA})")
        self._started = True
        self._expected = max(1, int(row["expected"]))

    def _system(self, row: dict[str, Any]) -> None:
        known = self._head.system
        self._head.system = System(**row, container=known.container, machine=known.machine)

    def _mount(self, row: dict[str, Any]) -> None:
        self._head.mounts.append({key: str(row[key]) for key in ("path", "type", "source")})

    def _network(self, row: dict[str, Any]) -> None:
        self._head.network = {key: [str(one) for one in row[key]] for key in ("interfaces", "resolvers", "hosts", "addresses", "routes")}

    def _end(self, row: dict[str, Any]) -> None:
        if row["counts"] != dict(self._counts):
            raise ValueError("the counts at the end are not those of the lines that came")
        if row["digest"] != self._digest.hexdigest():
            raise ValueError("the digest at the end is not that of the lines that came")
        self._ended = True
        self._head.counts = {key: self._counts[key] for key in ("files", *State)}
        self._head.bytes = int(row["bytes"])
        self._head.digest = row["digest"]


def canonical(entry: FileEntry, line: bytes) -> bytes:
    """What of an entry is in the digest: all of it, but of an excluded path only what does not change on an idle system."""
    if entry.state != State.EXCLUDED:
        return line
    row = {key: getattr(entry, key) for key in ("path", "type", "state", "reason")}
    return json.dumps(row, ensure_ascii=True, separators=(",", ":")).encode("ascii") + b"\n"


def check(entry: FileEntry) -> FileEntry:
    """The entry itself. Raises ValueError for anything that the file table does not promise."""
    safe_path(entry.path)
    for field in OPTIONAL:
        value = getattr(entry, field)
        if value is not None and not isinstance(value, str):
            raise ValueError(f"'{field}' is not a string")
    if any(type(getattr(entry, field)) is not int for field in NUMBERS) or min(entry.uid, entry.gid, entry.size) < 0:
        raise ValueError("a number is none")
    if entry.type not in KINDS or entry.state not in STATES or not isinstance(entry.reason, str) or not entry.reason:
        raise ValueError("unknown type, state or reason")
    if not isinstance(entry.mode, str) or not MODE.fullmatch(entry.mode):
        raise ValueError("the mode is not four octal digits")
    if entry.sha256 is not None and not SHA256.fullmatch(entry.sha256):
        raise ValueError("not a sha256")
    if entry.device is not None and not DEVICE.fullmatch(entry.device):
        raise ValueError("not a device number")
    _check_parts(entry)
    return entry


def _check_parts(entry: FileEntry) -> None:
    if entry.hardlink is not None:
        safe_path(entry.hardlink)
    if entry.target is not None and "\0" in entry.target:
        raise ValueError("a link's target has a NUL in it")
    if not isinstance(entry.xattrs, dict) or not all(isinstance(one, str) for pair in entry.xattrs.items() for one in pair):
        raise ValueError("attributes are not strings")
    if not isinstance(entry.expected, dict) or not all(isinstance(one, str) for pair in entry.expected.items() for one in pair):
        raise ValueError("what was expected is not told in strings")
    if not isinstance(entry.flags, str) or not FLAGS.fullmatch(entry.flags):
        raise ValueError("unknown inode flags")
    if entry.secret is not None and not SECRET.fullmatch(entry.secret):
        raise ValueError("unknown kind of secret")
    end = 0
    if not isinstance(entry.extents, list | None):
        raise ValueError("extents are no list")
    for offset, length in entry.extents or ():
        if type(offset) is not int or type(length) is not int or offset < end or length <= 0:
            raise ValueError("extents overlap or are out of order")
        end = offset + length
    if entry.extents is not None and end > entry.size:
        raise ValueError("extents reach beyond the file")


def safe_path(path: str) -> None:
    """Raises ValueError unless `path` is absolute, plain (no `.`, `..`, empty names, NUL) and bytes underneath."""
    if not isinstance(path, str) or not path.startswith("/") or "\0" in path:
        raise ValueError("not an absolute path")
    if path != "/" and not {"", ".", ".."}.isdisjoint(path[1:].split("/")):
        raise ValueError("a path is not plain")
    path.encode("utf-8", "surrogateescape")


def _refused(number: int, error: Exception) -> HostileInput:
    what = "fields that are not the wire's" if isinstance(error, ValidationError | TypeError | KeyError | AttributeError) else str(error)
    return HostileInput(f"line {number} of the inventory is refused: {what}", hint="scan again; if it stays, the target is not to be trusted")
