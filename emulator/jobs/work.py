"""Carry out one job: the same steps in a child process and in the queue that tests use."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace

from emulator.folders import Folders
from emulator.jobs.kinds import State, again
from emulator.jobs.ledger import Ledger
from emulator.jobs.outcome import Outcome, failed
from emulator.jobs.progress import RecordedProgress, Stop
from emulator.jobs.tasks import Assignment, Task
from emulator.resources.jobs.tables import Job
from scanner.errors import ForgeletError


def carry_out(
    ledger: Ledger, folders: Folders, job_id: int, tasks: Mapping[str, Task], stop: Stop, write: Callable[[str], None], *, secret: str = ""
) -> Outcome:
    """Do the job and say how it ended; what nobody expected goes to the log with its traceback."""
    job = ledger.get(job_id)
    folders.work(job_id).mkdir(parents=True, exist_ok=True, mode=0o700)
    progress = RecordedProgress(ledger, job, stop, write)
    try:
        stop.check()
        outcome = tasks[job.kind](Assignment(job, folders, ledger.database, progress, secret))
    except Exception as error:
        write(_story(error))
        outcome = _with_hint(failed(error), job)
    write(f"{outcome.state}: {outcome.message}")
    return outcome


def _story(error: Exception) -> str:
    if not isinstance(error, ForgeletError):
        return traceback.format_exc()
    return "\n".join(part for part in (str(error), str(getattr(error, "stderr", ""))) if part)


def _with_hint(outcome: Outcome, job: Job) -> Outcome:
    if outcome.hint or outcome.state != State.FAILED:
        return outcome
    return replace(outcome, hint=f"forgelet job log {job.id} has the whole story; to run it again: {again(job.kind, job.arguments)}")
