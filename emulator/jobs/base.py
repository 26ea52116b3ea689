"""What both queues share: which job is next, one thread a running job, waiting for ends."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from emulator.errors import Conflict, Interrupted
from emulator.folders import Folders
from emulator.jobs.kinds import ENDED, State, again, startable
from emulator.jobs.ledger import Ledger
from emulator.jobs.outcome import Outcome, cancelled, failed
from emulator.jobs.settle import settle
from emulator.resources.jobs.tables import Job
from scanner.host import clock

log = logging.getLogger("forgelet.jobs")


def interrupted(job: Job, what: str = "the service stopped") -> Outcome:
    """The outcome of a job under which something ended."""
    stage = job.stage or "starting"
    return failed(Interrupted(f"{what} while the job was in stage {stage}", hint=f"run it again: {again(job.kind, job.arguments)}"))


def forgotten(job: Job) -> Outcome:
    """The outcome of a job whose secret went with the service that was to run it."""
    what = "the service was restarted before the job began: passwords and keys are kept in memory only, and went with it"
    return failed(Interrupted(what, hint=f"run it again: {again(job.kind, job.arguments)}"))


@dataclass(eq=False, slots=True)
class Run:
    """One job under way, with the thread that attends to it."""

    job: Job
    thread: threading.Thread = field(init=False)
    abandoned: bool = False
    """Nobody wants to know any more how it ends: its row is gone."""
    performed: threading.Event = field(default_factory=threading.Event)
    """Set when nothing of the job moves any more."""

    @property
    def id(self) -> int:
        assert self.job.id is not None
        return self.job.id


class BaseQueue:
    """A queue but for how a job is run (`_perform`), told to stop (`_tell`) and ended at once (`_end`)."""

    def __init__(self, ledger: Ledger, folders: Folders) -> None:
        self.ledger = ledger
        self.folders = folders
        self._settling = threading.RLock()
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._running: dict[int, Run] = {}
        self._secrets: dict[int, str] = {}
        self._ready = False
        self._stopping = False

    def start(self) -> None:
        threading.Thread(target=self._begin, name="jobs", daemon=True).start()

    def _begin(self) -> None:
        for job in self.ledger.jobs(State.RUNNING):
            assert job.id is not None
            with self._settling:
                now = self.ledger.find(job.id)
                if now is None or now.state != State.RUNNING:
                    continue
                try:
                    self._recover(now)
                except Exception:
                    log.exception("job %s could not be settled", job.id)
        with self._changed:
            self._ready = True
            self._changed.notify_all()
        self.submit()

    def submit(self) -> None:
        with self._lock:
            if self._stopping or not self._ready:
                return
            waiting = self.ledger.jobs(State.QUEUED)
            for job in startable(waiting, self.ledger.jobs(State.RUNNING)) if waiting else ():
                self._launch(job)

    def entrust(self, job_id: int, secret: str) -> None:
        with self._lock:
            self._secrets[job_id] = secret

    def _launch(self, job: Job) -> None:
        run = Run(job)
        self.ledger.running(run.id)
        run.thread = threading.Thread(target=self._run, args=(run, self._secrets.pop(run.id, "")), name=f"job-{run.id}", daemon=True)
        self._running[run.id] = run
        run.thread.start()

    def _run(self, run: Run, secret: str) -> None:
        entrusted = bool(run.job.arguments.get("entrusted"))
        try:
            outcome = forgotten(run.job) if entrusted and not secret else self._perform(run, secret if entrusted else "")
        except Exception as error:
            if not run.abandoned:
                log.exception("job %s could not be run", run.id)
            outcome = failed(error)
        finally:
            run.performed.set()
        with self._settling:
            if not run.abandoned:
                self._settle(run, outcome)
        with self._changed:
            if self._running.get(run.id) is run:
                del self._running[run.id]
            self._changed.notify_all()
        self.submit()

    def _settle(self, run: Run, outcome: Outcome | None) -> None:
        try:
            now = self.ledger.get(run.id)
            settle(self.ledger, self.folders, now, self._judge(now, outcome))
        except Exception:
            log.exception("job %s could not be settled", run.id)

    def _judge(self, job: Job, outcome: Outcome | None) -> Outcome:
        """What counts: a job that is done is done; one that was asked to stop was cancelled, whatever it said when it was ended."""
        if outcome is not None and outcome.state == State.DONE:
            return outcome
        if job.cancel_requested:
            return cancelled()
        if self._stopping:
            return interrupted(job)
        return outcome or interrupted(job, "the job's process was killed")

    def cancel(self, job_id: int) -> None:
        with self._changed:
            job = self.ledger.get(job_id)
            if job.state == State.QUEUED:
                self.ledger.end(job_id, cancelled())
                self._secrets.pop(job_id, None)
                self._changed.notify_all()
            elif job.state == State.RUNNING:
                self.ledger.ask_cancel(job_id)
                self._tell(job_id)

    def wait(self, job_id: int, timeout: float) -> bool:
        deadline = clock.monotonic() + timeout
        with self._changed:
            while self.ledger.get(job_id).state not in ENDED:
                left = deadline - clock.monotonic()
                if left <= 0:
                    return False
                self._changed.wait(min(left, 0.5))
        return True

    @contextmanager
    def halted(self, user_id: int | None = None) -> Iterator[list[int]]:
        with self._settling, self._lock:
            ended = [run for run in self._running.values() if user_id in (None, run.job.user_id)]
            for run in ended:
                run.abandoned = True
                self._end(run)
                del self._running[run.id]
            yield [run.id for run in ended]
        self.submit()

    @contextmanager
    def still(self) -> Iterator[None]:
        with self._settling, self._lock:
            left = self.ledger.jobs(State.QUEUED, State.RUNNING)
            if left:
                said = ", ".join(f"{job.id} ({job.kind})" for job in left)
                raise Conflict(f"jobs are not finished: {said}", hint=f"wait for them, or: forgelet job cancel {left[0].id}")
            yield

    def stop(self, timeout: float) -> None:
        deadline = clock.monotonic() + timeout
        with self._lock:
            self._stopping = True
            running = list(self._running.values())
            for run in running:
                self._tell(run.id, timeout / 2)
        for run in running:
            run.thread.join(max(0.0, deadline - clock.monotonic()))

    def _recover(self, job: Job) -> None:
        """Settle a job that a dead service left running."""
        raise NotImplementedError

    def _perform(self, run: Run, secret: str) -> Outcome | None:
        """Run the job to its end, with what was entrusted to it; None when it never said how it ended."""
        raise NotImplementedError

    def _tell(self, job_id: int, grace: float = 10.0) -> None:
        """Ask the running job to stop; after `grace` seconds it is made to. Returns at once."""
        raise NotImplementedError

    def _end(self, run: Run) -> None:
        """The job moves no more when this returns; nobody is told."""
        raise NotImplementedError
