"""What happened to jobs, brought from the service's database into the journal: before anybody reads it, and before a reset takes it away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmodel import col, select

from emulator.control.journal.book import Book, Entry
from emulator.resources.jobs.tables import Job, JobEvent
from emulator.resources.users.tables import User

if TYPE_CHECKING:
    from emulator.storage.engine import Database


class Journal:
    """The book, and the events of jobs that belong into it."""

    def __init__(self, book: Book, database: Database) -> None:
        self.book = book
        self._database = database

    def catch_up(self) -> None:
        """Write down what happened to jobs since the last time."""
        with self.book.turn:
            mark = self.book.mark
            with self._database.read() as session:
                asked = select(JobEvent, Job, User.login).join(Job, col(Job.id) == JobEvent.job_id).join(User, col(User.id) == Job.user_id)
                found = session.exec(asked.where(col(JobEvent.id) > mark).order_by(col(JobEvent.id))).all()
            if found:
                self.book.add([_entry(event, job, login) for event, job, login in found])
                self.book.mark = found[-1][0].id or mark


def _entry(event: JobEvent, job: Job, login: str) -> Entry:
    told = {"dbId": job.id, "kind": job.kind, "event": event.kind, "name": event.name, "message": event.message, "percentage": event.percent}
    return {"time": event.time, "kind": "job", "user": login, "path": f"/_forgelet/jobs/{job.id}", "job": told}
