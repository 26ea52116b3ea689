"""GET of what wrote one path into an image."""

from __future__ import annotations

import os

from fastapi import APIRouter, Request, Response

from emulator.errors import Conflict
from emulator.jobs.kinds import State
from emulator.resources.images.routes import FLAT, SCAN, TheImage
from emulator.resources.scans.explain import path_of
from emulator.resources.scans.tables import Scan
from emulator.service import TheService
from emulator.wire.answer import ours
from scanner.errors import NotFound, StepFailed

router = APIRouter()


@router.get(FLAT + "/{iid}/explanation")
@router.get(SCAN + "/{iid}/explanation")
def explanation(image: TheImage, request: Request, here: TheService) -> Response:
    """What wrote a path of the image: package, overlay, base disk or last pass (`builders.origins`), and what the source's scan says of it.

    `path` in the query is percent-encoded bytes: a name need not be UTF-8.
    """
    from builders.origins import origin
    from scanner.explain import explain
    from scanner.report import Report

    made, source, job = image
    assert made.id is not None
    if not isinstance(source, Scan) or source.id is None:
        raise Conflict(f"image {made.id} was made from a template, which has no live system behind it", hint="build and explain the scan")
    if job.state != State.DONE:
        raise Conflict(f"image {made.id} cannot be explained: it is {job.state}", hint=f"forgelet job show {job.id}")
    path = path_of(request.scope["query_string"])
    shown = os.fsencode(path).decode("utf-8", "backslashreplace")
    report = Report(here.folders.scan(source.id))
    try:
        found = explain(report, path)
        by = origin(here.folders.image(made.id), path, report, found)
    except FileNotFoundError as error:
        raise Conflict(f"image {made.id} keeps no record of where its paths come from", hint="build it again") from error
    except ValueError as error:
        raise StepFailed(f"the report cannot be read: {error}", hint="scan again: forgelet scan run") from error
    if by is None:
        raise NotFound(f"image {made.id} has no path '{shown}'", hint=f"forgelet scan explain --id {source.id} tells what the source has")
    return ours("explanation", {"path": path, "origin": by.told(), "source": found.told() if found is not None else None})
