"""Jobs as clients see them, with the waterfall of their stages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from emulator.resources.jobs.tables import Job, JobEvent
from emulator.storage import stamp


def tell_job(job: Job, events: Sequence[JobEvent] | None = None) -> dict[str, Any]:
    """job; with `events`, everything that happened and how long each stage took."""
    told: dict[str, Any] = {
        "dbId": job.id,
        "kind": job.kind,
        "subjectUri": job.subject,
        "state": job.state,
        "stage": job.stage,
        "percentage": job.percent,
        "message": job.message,
        "error": job.error,
        "code": job.error_code,
        "hint": job.hint,
        "problems": job.problems,
        "exitCode": job.exit_code,
        "created": job.created,
        "started": job.started,
        "ended": job.ended,
    }
    if events is not None:
        told["events"] = [{"time": e.time, "kind": e.kind, "name": e.name, "message": e.message, "percentage": e.percent} for e in events]
        told["stages"] = waterfall(job, events)
    return told


def waterfall(job: Job, events: Sequence[JobEvent]) -> list[dict[str, Any]]:
    """Stage, seconds after the start, seconds that it took (until the next one, the end, or now)."""
    stages = [event for event in events if event.kind == "stage"]
    if not stages or job.started is None:
        return []
    ends = [*(event.time for event in stages[1:]), job.ended or stamp.now()]
    return [
        {"name": event.name, "start": stamp.seconds(job.started, event.time), "seconds": stamp.seconds(event.time, end)}
        for event, end in zip(stages, ends, strict=True)
    ]
