"""Rows that a job is to fill: of a template, of a bundle. When the job ends otherwise than done, they go with it."""

from __future__ import annotations

from sqlmodel import Session, SQLModel

from emulator.resources.appliances.tables import Appliance
from emulator.resources.bundles.tables import Bundle
from emulator.resources.jobs.tables import Job

PLACES: dict[str, tuple[type[SQLModel], str]] = {
    "import": (Appliance, "appliance"),
    "scan-import": (Appliance, "appliance"),
    "bundle-import": (Bundle, "bundle"),
}
"""Kind of job -> the table, and the argument that holds the row's number."""


def forget(session: Session, job: Job) -> None:
    """Delete the row that the job did not fill, in the caller's transaction."""
    if job.kind in PLACES:
        table, argument = PLACES[job.kind]
        row = session.get(table, job.arguments[argument])
        if row is not None:
            session.delete(row)
            session.flush()
