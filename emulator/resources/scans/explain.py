"""GET of everything that a scan knows of one path, and of what a build would do with it."""

from __future__ import annotations

import os
from urllib.parse import unquote_to_bytes

from fastapi import APIRouter, Request, Response

from emulator.resources.scans import reports
from emulator.service import TheOwner, TheService
from emulator.wire.answer import ours
from scanner.errors import NotFound, StepFailed, UserError

router = APIRouter(prefix="/users/{uid}/scannedinstances/{siid}/scans/{sid}")


@router.get("/explanation")
def explanation(siid: int, sid: int, request: Request, here: TheService, owner: TheOwner) -> Response:
    """`path` in the query is percent-encoded bytes: a name need not be UTF-8. See `scanner.explain` and `builders.fate`."""
    from builders.fate import fate
    from scanner.explain import explain
    from scanner.report import Report

    path = path_of(request.scope["query_string"])
    report = Report(reports.folder(here, owner, siid, sid))
    try:
        found = explain(report, path)
    except ValueError as error:
        raise StepFailed(f"the report cannot be read: {error}", hint="scan again: forgelet scan run") from error
    if found is None:
        shown = os.fsencode(path).decode("utf-8", "backslashreplace")
        raise NotFound(f"the scan knows no path '{shown}'", hint=f"forgelet scan files --id {sid}")
    what = fate(report, found.entry)
    return ours("explanation", {**found.told(), "build": {"action": what.action, "why": what.why, "rule": what.rule}})


def path_of(query: bytes) -> str:
    """The one `path` of a query. Starlette's own parameters are text and would lose bytes that are not UTF-8. Raises `UserError`."""
    values = [part[5:] for part in query.split(b"&") if part.startswith(b"path=")]
    path = os.fsdecode(unquote_to_bytes(values[0].replace(b"+", b" "))) if values else ""
    if len(values) != 1 or not path.startswith("/") or "\0" in path:
        raise UserError("an explanation is of one absolute path", hint="such as /etc/passwd")
    return path if path == "/" else path.rstrip("/")
