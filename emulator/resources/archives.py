"""Archives of templates and bundles on their way in and out: what both kinds of resource do alike."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from anyio import to_thread
from fastapi import Request, Response

from emulator.errors import Conflict, QuotaExceeded
from emulator.jobs.kinds import State
from emulator.resources import uploads
from emulator.resources.jobs.tables import Job
from emulator.resources.quotas import service as quotas
from emulator.resources.scans.service import PATIENCE
from emulator.resources.status import op_status
from emulator.resources.users.tables import User
from emulator.service import Service
from emulator.wire.answer import answer
from emulator.wire.download import Download
from scanner.errors import UserError

FORMATS = {"yaml": "yaml", "yml": "yaml", "json": "json"}
WAITING = {"cancelled": False, "complete": False, "error": False, "errorMessage": "", "message": "Waiting for the archive", "percentage": 0}
"""The status of an import whose archive was not sent yet."""


class Export(Protocol):
    """The row of an archive that a job writes."""

    id: int | None
    job_id: int


def output_format(asked: str) -> str:
    """`yaml` or `json`. Raises `UserError` for a format that there is not."""
    if asked.lower() not in FORMATS:
        raise UserError(f"there is no output format '{asked}'", hint="outputFormat: yaml or json")
    return FORMATS[asked.lower()]


def status(job: Job | None) -> dict[str, Any]:
    """The status of an import, which may have no job yet."""
    return op_status(job, mistakes=True) if job else WAITING


def send(name: str, job: Job, folder: Path) -> Response:
    """The archive of an export. Not labelled as XML, and not as encoded: the client would unpack it. Raises `Conflict` before it is whole."""
    if job.state != State.DONE:
        raise Conflict(f"the archive of '{name}' is not there: its export is {job.state}", hint=f"forgelet job show {job.id}")
    return Download(folder / "archive.tar.gz", media_type="application/octet-stream", filename="archive.tar.gz")


async def receive(
    number: int, request: Request, place: Path, here: Service, user: User, *, waits: Callable[[], bool], begin: Callable[[], Job]
) -> Response:
    """The archive of import `number`, as the body whatever its label says; then its job is queued. Raises `Conflict` for a second one,
    `QuotaExceeded`, `TooLarge`; then nothing of it is kept."""
    if not await to_thread.run_sync(waits):
        raise Conflict(f"import {number} has its archive already", hint="begin another import")
    most = await to_thread.run_sync(quotas.left, here, user)
    sent = await uploads.save(request, place, most)
    if sent > most:
        raise quotas.used_up(user, "diskusage", f"the archive has {sent} bytes, and {max(0, int(most))} are left")
    try:
        job = await to_thread.run_sync(begin)
    except QuotaExceeded:
        place.unlink(missing_ok=True)
        raise
    return answer("status", op_status(job), 201)


def remove(here: Service, export: Export, folder: Path) -> None:
    """Take an archive away; one that is being written is stopped."""
    here.queue.cancel(export.job_id)
    here.queue.wait(export.job_id, PATIENCE)
    with here.database.write() as session:
        session.delete(session.get_one(type(export), export.id))
    here.folders.discard(folder)
