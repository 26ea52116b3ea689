"""The report of a scan, by its parts; the file table streams."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse

from emulator.errors import Conflict
from emulator.jobs.kinds import State
from emulator.resources.scans import service as scans
from emulator.resources.users.tables import User
from emulator.service import Service, TheOwner, TheService
from emulator.wire.answer import our_collection, ours

router = APIRouter(prefix="/users/{uid}/scannedinstances/{siid}/scans/{sid}")
CHUNK = 1 << 16
EVERYWHERE = ((b"sha256", b"null"), (b"package", b"null"), (b"xattrs", b"{}"))
"""What a row of the table tells of every path, and how it says that there is none; in the report it is left out there."""


def folder(here: Service, user: User, siid: int, sid: int) -> Path:
    """The report's folder. Raises `NotFound`, or `Conflict` when the scan is not (or never will be) whole."""
    with here.database.read() as session:
        _, scan, job = scans.find_scan(session, user, siid, sid)
    if job.state != State.DONE:
        hint = f"forgelet job show {job.id}" if job.state in (State.QUEUED, State.RUNNING) else "scan again: forgelet scan run"
        raise Conflict(f"'{scan.name}' has no report: it is {job.state}", hint=hint)
    return here.folders.scan(sid)


def _head(here: Service, user: User, siid: int, sid: int) -> dict[str, Any]:
    head = json.loads((folder(here, user, siid, sid) / "head.json").read_bytes())
    assert isinstance(head, dict)
    return head


@router.get("/report")
def report(siid: int, sid: int, here: TheService, owner: TheOwner) -> Response:
    """Everything but the file table (`scanner.report.ScanReport`)."""
    return ours("report", _head(here, owner, siid, sid))


@router.get("/packages")
def packages(siid: int, sid: int, here: TheService, owner: TheOwner) -> Response:
    """The packages that a scan found."""
    return our_collection("packages", "package", _head(here, owner, siid, sid)["packages"])


@router.get("/services")
def services(siid: int, sid: int, here: TheService, owner: TheOwner) -> Response:
    """The services that a scan found."""
    return our_collection("services", "service", _head(here, owner, siid, sid)["services"])


@router.get("/users")
def users(siid: int, sid: int, here: TheService, owner: TheOwner) -> Response:
    """The users that a scan found."""
    return our_collection("users", "user", _head(here, owner, siid, sid)["users"])


@router.get("/groups")
def groups(siid: int, sid: int, here: TheService, owner: TheOwner) -> Response:
    """The groups that a scan found."""
    return our_collection("groups", "group", _head(here, owner, siid, sid)["groups"])


@router.get("/files")
def files(siid: int, sid: int, here: TheService, owner: TheOwner, state: str | None = None) -> Response:
    """The file table, one `scanner.report.FileEntry` a line (ASCII: lone surrogates are escaped), all or those in one state.

    `sha256`, `package` (null) and `xattrs` (`{}`) are there where a path has none, too.
    """
    path = folder(here, owner, siid, sid) / "files.ndjson.zst"
    return StreamingResponse(_pieces(path, state), media_type="application/x-ndjson")


def _pieces(path: Path, state: str | None) -> Iterator[bytes]:
    """The lines, many at a time."""
    import io

    import zstandard

    with path.open("rb") as packed, zstandard.ZstdDecompressor().stream_reader(packed) as reader:
        lines = io.BufferedReader(reader, CHUNK)
        while some := lines.readlines(CHUNK):
            yield b"".join(whole(line) for line in some if state is None or json.loads(line)["state"] == state)


def whole(line: bytes) -> bytes:
    """A line of the stored table with the fields that every row has, also where they say nothing."""
    # A quote within a string is escaped, so that a name between two plain ones is a key.
    lacking = b"".join(b',"%s":%s' % (name, nothing) for name, nothing in EVERYWHERE if b'"%s":' % name not in line)
    return line.rstrip()[:-1] + lacking + b"}\n" if lacking else line
