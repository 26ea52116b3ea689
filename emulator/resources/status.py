"""A job's state as UForge's OpStatus, for whatever the job makes."""

from __future__ import annotations

from typing import Any

from emulator.jobs.kinds import State
from emulator.resources.jobs.tables import Job
from emulator.storage.narrow import stored

JOB_HEAD = stored(Job, "id", "state", "percent", "message", "error", "exit_code")
"""What lists tell of a job changes with these."""


def op_status(job: Job, *, mistakes: bool = False) -> dict[str, Any]:
    """`complete` also for what is done with blind spots; `message` is always there, clients need it.

    With `mistakes` a failure names every one of them: hammr shows `detailedErrorMsg` of some failures only.
    """
    state = job.state
    return {
        "cancelled": state == State.CANCELLED,
        "complete": state == State.DONE,
        "error": state == State.FAILED,
        "errorMessage": "\n".join([job.error, *job.problems]) if mistakes else job.error,
        "message": job.message,
        "percentage": job.percent,
    }
