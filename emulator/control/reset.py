"""Empty the service: every job, scan, template, image and fault; users stay, and the cache unless it is asked for."""

from __future__ import annotations

from sqlalchemy import text
from sqlmodel import delete

from emulator.control.tables import Fault
from emulator.errors import Conflict
from emulator.jobs.kinds import State
from emulator.resources.accounts.tables import CloudAccount
from emulator.resources.agents.tables import Download
from emulator.resources.appliances.tables import Appliance, ApplianceExport, ApplianceImport, ScanImport
from emulator.resources.images.tables import Image
from emulator.resources.jobs.tables import Job, JobEvent
from emulator.resources.scans.tables import Scan, ScannedInstance
from emulator.service import Service

PATIENCE = 20.0
"""Seconds that all running jobs together get to end."""


def reset(here: Service, *, cache: bool) -> None:
    """Raises `Conflict` when a job cannot be ended."""
    running = here.ledger.jobs(State.QUEUED, State.RUNNING)
    for job in reversed(running):
        assert job.id is not None
        here.queue.cancel(job.id)
    for job in running:
        assert job.id is not None
        if not here.queue.wait(job.id, PATIENCE):
            raise Conflict(f"job {job.id} is still being stopped", hint="forgelet reset, again")
    with here.database.write() as session:
        for table in (CloudAccount, Fault, Download, Image, ScanImport, ApplianceExport, ApplianceImport, Appliance, Scan, ScannedInstance, JobEvent, Job):
            session.exec(delete(table))
        session.connection().execute(text("DELETE FROM sqlite_sequence WHERE name != 'user'"))
    here.folders.empty(cache=cache)
