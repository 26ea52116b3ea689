"""/_forgelet/jobs: list, show, follow, cancel."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Response
from fastapi.responses import StreamingResponse

from emulator.jobs.kinds import ENDED
from emulator.resources.jobs.service import tell_job
from emulator.resources.jobs.tables import Job
from emulator.service import Service, TheService, TheUser
from emulator.wire.answer import our_collection, ours
from scanner.errors import NotFound

router = APIRouter(prefix="/jobs")
PAUSE = 0.2
CHUNK = 1 << 16


def found(job_id: int, here: TheService, asking: TheUser) -> Job:
    """The job in the path. Raises `NotFound`, for other users' jobs too."""
    job = here.ledger.get(job_id)
    if job.user_id != asking.id:
        raise NotFound(f"there is no job {job_id}", hint="forgelet job list")
    return job


TheJob = Annotated[Job, Depends(found)]


@router.get("")
def index(here: TheService, asking: TheUser) -> Response:
    """The jobs of the service, oldest first."""
    return our_collection("jobs", "job", [tell_job(job) for job in here.ledger.jobs(user_id=asking.id)])


@router.get("/{job_id}")
def show(here: TheService, job: TheJob) -> Response:
    """One job: its state, its stage, its error."""
    assert job.id is not None
    return ours("job", tell_job(job, here.ledger.events(job.id)))


@router.delete("/{job_id}")
def cancel(here: TheService, job: TheJob) -> Response:
    """Asked to stop; 202: it may take some seconds. One that has ended stays as it is."""
    assert job.id is not None
    here.queue.cancel(job.id)
    return ours("job", tell_job(here.ledger.get(job.id)), 202)


@router.get("/{job_id}/log")
def log(here: TheService, job: TheJob, follow: bool = False) -> Response:
    """The log as plain text; followed, it goes on until the job has ended."""
    assert job.id is not None
    return StreamingResponse(_lines(here, job.id, follow), media_type="text/plain; charset=utf-8")


async def _lines(here: Service, job_id: int, follow: bool) -> AsyncIterator[bytes]:
    offset = 0
    while True:
        ended = not follow or here.stopping.is_set() or await asyncio.to_thread(_ended, here, job_id)
        while piece := await asyncio.to_thread(_piece, here, job_id, offset):
            offset += len(piece)
            yield piece
        if ended:
            return
        await asyncio.sleep(PAUSE)


def _ended(here: Service, job_id: int) -> bool:
    job = here.ledger.find(job_id)
    return job is None or job.state in ENDED


def _piece(here: Service, job_id: int, offset: int) -> bytes:
    try:
        with here.folders.log(job_id).open("rb") as log:
            log.seek(offset)
            return log.read(CHUNK)
    except FileNotFoundError:
        return b""
