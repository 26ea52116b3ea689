"""The end of a job, however it came: results into place, everything on loan given back, then (and only then) the job is marked ended."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

from emulator.folders import Folders
from emulator.jobs.kinds import State
from emulator.jobs.ledger import Ledger
from emulator.jobs.outcome import Outcome, failed
from emulator.resources.jobs.tables import Job

log = logging.getLogger("forgelet.jobs")


def settle(ledger: Ledger, folders: Folders, job: Job, outcome: Outcome) -> None:
    """Publish what a job that is done made, sweep its work folder, mark it ended. Doing it twice does no harm."""
    assert job.id is not None
    if outcome.state == State.DONE:
        try:
            publish(folders, job)
        except OSError as error:
            outcome = failed(error)
    note(folders.log(job.id), give_back(folders.work(job.id)))
    if outcome.state != State.DONE and job.kind in ("publish", "provision"):
        from emulator.jobs.clouds import take_back

        take_back(ledger.database, folders, job)
    ledger.end(job.id, outcome)


def publish(folders: Folders, job: Job) -> None:
    """Move the result to where it is looked for, in one step: nobody ever sees half of it."""
    assert job.id is not None
    result = folders.work(job.id) / "result"
    if not result.exists():
        return
    if job.kind == "verify":
        place = folders.verification(job.arguments["image"], job.id)
        place.parent.mkdir(exist_ok=True)
        result.rename(place)
    else:
        if job.kind == "build" and folders.log(job.id).exists():
            # The image outlives its job: how it was made goes along.
            shutil.copyfile(folders.log(job.id), result / "build.log")
        result.rename(_place(folders, job))


def _place(folders: Folders, job: Job) -> Path:
    if job.kind in ("import", "scan-import"):
        return folders.template(job.arguments["appliance"])
    if job.kind == "export":
        return folders.export(job.arguments["export"])
    if job.kind == "bundle-import":
        return folders.bundle(job.arguments["bundle"])
    if job.kind == "bundle-export":
        return folders.bundle_export(job.arguments["export"])
    return folders.scan(job.arguments["scan"]) if job.kind == "scan" else folders.image(job.arguments["image"])


def give_back(work: Path) -> list[str]:
    """End, unmount, detach and remove everything below `work`; says what was found."""
    from scanner.host import sweep

    try:
        return sweep.give_back(work)
    except Exception as error:  # a job must end even when the machine will not give something back
        log.exception("sweeping %s failed", work)
        return [f"sweeping failed: {error}"]


def note(path: Path, found: list[str]) -> None:
    """Tell the job's log what was given back."""
    if found:
        with path.open("a", encoding="utf-8", errors="backslashreplace") as out:
            out.writelines(f"given back: {one}\n" for one in found)
