"""GET of what wrote one path into an image."""

from __future__ import annotations

import os
from pathlib import Path

from fastapi import APIRouter, Request, Response

from emulator.errors import Conflict
from emulator.jobs.kinds import State
from emulator.resources.images.routes import FLAT, SCAN, TheImage
from emulator.resources.images.service import Source
from emulator.resources.scans.explain import path_of
from emulator.resources.scans.tables import Scan
from emulator.service import Service, TheService
from emulator.wire.answer import ours
from scanner.errors import NotFound, StepFailed

router = APIRouter()


@router.get(FLAT + "/{iid}/explanation")
@router.get(SCAN + "/{iid}/explanation")
def explanation(image: TheImage, request: Request, here: TheService) -> Response:
    """What wrote a path of the image: package, overlay, base disk, last pass or template (`builders.origins`), and what the source's scan
    says of it, where there is one.

    `path` in the query is percent-encoded bytes: a name need not be UTF-8.
    """
    from builders.origins import origin
    from scanner.explain import explain
    from scanner.report import Report

    made, source, job = image
    assert made.id is not None
    if job.state != State.DONE or job.arguments.get("simulated"):
        raise Conflict(f"image {made.id} cannot be explained: it is {'simulated' if job.state == State.DONE else job.state}", hint=f"forgelet job show {job.id}")
    path = path_of(request.scope["query_string"])
    shown = os.fsencode(path).decode("utf-8", "backslashreplace")
    scan = _scan(here, source)
    report = Report(scan) if scan is not None else None
    try:
        found = explain(report, path) if report is not None else None
        by = origin(here.folders.image(made.id), path, report, found)
    except FileNotFoundError as error:
        raise Conflict(f"image {made.id} keeps no record of where its paths come from", hint="build it again") from error
    except ValueError as error:
        raise StepFailed(f"the report cannot be read: {error}", hint="scan again: forgelet scan run") from error
    if by is None:
        raise NotFound(f"image {made.id} has no path '{shown}'", hint=_elsewhere(made.id, source))
    return ours("explanation", {"path": path, "origin": by.told(), "source": found.told() if found is not None else None})


def _scan(here: Service, source: Source) -> Path | None:
    """Folder of the scan behind the image; a template may have none."""
    assert source.id is not None
    folder = here.folders.scan(source.id) if isinstance(source, Scan) else here.folders.template(source.id) / "scan"
    return folder if isinstance(source, Scan) or folder.is_dir() else None


def _elsewhere(image: int, source: Source) -> str:
    return f"forgelet scan explain --id {source.id} tells what the source has" if isinstance(source, Scan) else f"forgelet image show --id {image} tells what was added"
