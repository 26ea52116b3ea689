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
    """The file table, one `scanner.report.FileEntry` a line (ASCII: lone surrogates are escaped), all or those in one state."""
    path = folder(here, owner, siid, sid) / "files.ndjson.zst"
    lines = _unpacked(path) if state is None else _in_state(path, state)
    return StreamingResponse(lines, media_type="application/x-ndjson")


def _unpacked(path: Path) -> Iterator[bytes]:
    import zstandard

    with path.open("rb") as packed, zstandard.ZstdDecompressor().stream_reader(packed) as reader:
        while piece := reader.read(CHUNK):
            yield piece


def _in_state(path: Path, state: str) -> Iterator[bytes]:
    import io

    import zstandard

    with path.open("rb") as packed, zstandard.ZstdDecompressor().stream_reader(packed) as reader:
        for line in io.BufferedReader(reader, CHUNK):
            if json.loads(line)["state"] == state:
                yield line
