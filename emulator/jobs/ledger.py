"""What is written down about jobs. Queue, child processes and routes all use it; nobody else writes these tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlmodel import Session, col, select

from emulator.jobs.kinds import ENDED, State
from emulator.jobs.outcome import Outcome
from emulator.jobs.placeholders import forget
from emulator.resources.jobs.tables import Job, JobEvent
from emulator.storage import stamp
from emulator.storage.engine import Database
from emulator.storage.stamp import printable
from scanner.errors import NotFound


def create(session: Session, user_id: int, kind: str, subject: str, arguments: dict[str, Any]) -> Job:
    """A new queued job, in the caller's transaction (so that job and subject appear together)."""
    job = Job(user_id=user_id, kind=kind, subject=subject, arguments=arguments, message="Queued", created=stamp.now())
    session.add(job)
    session.flush()
    _event(session, job, "state", State.QUEUED)
    return job


def close(session: Session, job: Job, outcome: Outcome) -> None:
    """The job is over, in the caller's transaction."""
    _close(job, outcome)
    _event(session, job, "state", outcome.state, outcome.message)
    if outcome.state != State.DONE:
        forget(session, job)


def _event(session: Session, job: Job, kind: str, name: str, message: str = "") -> None:
    assert job.id is not None
    session.add(JobEvent(job_id=job.id, time=stamp.now(), kind=kind, name=name, message=message, percent=job.percent))


class Ledger:
    """The book of jobs."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def find(self, job_id: int) -> Job | None:
        with self.database.read() as session:
            return session.get(Job, job_id)

    def get(self, job_id: int) -> Job:
        """Raises `NotFound`."""
        job = self.find(job_id)
        if job is None:
            raise NotFound(f"there is no job {job_id}", hint="forgelet job list")
        return job

    def jobs(self, *states: State, user_id: int | None = None) -> Sequence[Job]:
        """Oldest first; all states when none is named."""
        with self.database.read() as session:
            wanted = select(Job).order_by(col(Job.id))
            if states:
                wanted = wanted.where(col(Job.state).in_(states))
            if user_id is not None:
                wanted = wanted.where(Job.user_id == user_id)
            return session.exec(wanted).all()

    def events(self, job_id: int) -> Sequence[JobEvent]:
        """In the order in which they happened."""
        with self.database.read() as session:
            return session.exec(select(JobEvent).where(JobEvent.job_id == job_id).order_by(col(JobEvent.id))).all()

    def running(self, job_id: int) -> None:
        """The job is about to get its process."""
        with self.database.write() as session:
            job = session.get_one(Job, job_id)
            job.state, job.started, job.message = State.RUNNING, stamp.now(), "Starting"
            _event(session, job, "state", State.RUNNING)

    def process(self, job_id: int, pid: int, birth: int | None) -> None:
        """Which process does the job."""
        with self.database.write() as session:
            job = session.get_one(Job, job_id)
            job.pid, job.birth = pid, birth

    def stage(self, job_id: int, name: str, message: str) -> None:
        with self.database.write() as session:
            job = session.get_one(Job, job_id)
            job.stage, job.message = name, printable(message or name)
            _event(session, job, "stage", name, printable(message))

    def update(self, job_id: int, percent: int, message: str) -> None:
        with self.database.write() as session:
            job = session.get_one(Job, job_id)
            job.percent = max(0, min(100, percent))
            job.message = printable(message) or job.message

    def ask_cancel(self, job_id: int) -> None:
        with self.database.write() as session:
            session.get_one(Job, job_id).cancel_requested = True

    def end(self, job_id: int, outcome: Outcome) -> None:
        """The job is over; the first ending counts."""
        with self.database.write() as session:
            job = session.get(Job, job_id)
            if job is None or job.state in ENDED:
                return
            close(session, job, outcome)


def _close(job: Job, outcome: Outcome) -> None:
    job.state, job.exit_code, job.ended, job.message = outcome.state, outcome.exit_code, stamp.now(), outcome.message
    job.pid = job.birth = None
    if outcome.state == State.DONE:
        job.percent = 100
    else:
        job.error, job.error_code, job.hint, job.problems = outcome.message, outcome.code, outcome.hint, outcome.problems
