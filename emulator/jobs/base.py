"""What both queues share: which job is next, one thread a running job, waiting for ends."""

from __future__ import annotations

import logging
import threading

from emulator.errors import Interrupted
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


class BaseQueue:
    """A queue but for how a job is run (`_perform`) and told to stop (`_tell`)."""

    def __init__(self, ledger: Ledger, folders: Folders) -> None:
        self.ledger = ledger
        self.folders = folders
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._running: dict[int, threading.Thread] = {}
        self._secrets: dict[int, str] = {}
        self._ready = False
        self._stopping = False

    def start(self) -> None:
        threading.Thread(target=self._begin, name="jobs", daemon=True).start()

    def _begin(self) -> None:
        for job in self.ledger.jobs(State.RUNNING):
            try:
                self._recover(job)
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
            for job in startable(waiting, self.ledger.jobs(State.RUNNING)):
                self._launch(job)

    def entrust(self, job_id: int, secret: str) -> None:
        with self._lock:
            self._secrets[job_id] = secret

    def _launch(self, job: Job) -> None:
        assert job.id is not None
        self.ledger.running(job.id)
        thread = threading.Thread(target=self._run, args=(job,), name=f"job-{job.id}", daemon=True)
        self._running[job.id] = thread
        thread.start()

    def _run(self, job: Job) -> None:
        assert job.id is not None
        with self._lock:
            secret = self._secrets.pop(job.id, "")
        entrusted = bool(job.arguments.get("entrusted"))
        try:
            outcome = forgotten(job) if entrusted and not secret else self._perform(job, secret if entrusted else "")
        except Exception as error:
            log.exception("job %s could not be run", job.id)
            outcome = failed(error)
        try:
            now = self.ledger.get(job.id)
            settle(self.ledger, self.folders, now, self._judge(now, outcome))
        except Exception:
            log.exception("job %s could not be settled", job.id)
        finally:
            with self._changed:
                self._running.pop(job.id, None)
                self._changed.notify_all()
            self.submit()

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

    def stop(self, timeout: float) -> None:
        deadline = clock.monotonic() + timeout
        with self._lock:
            self._stopping = True
            threads = dict(self._running)
            for job_id in threads:
                self._tell(job_id, timeout / 2)
        for thread in threads.values():
            thread.join(max(0.0, deadline - clock.monotonic()))

    def _recover(self, job: Job) -> None:
        """Settle a job that a dead service left running."""
        raise NotImplementedError

    def _perform(self, job: Job, secret: str) -> Outcome | None:
        """Run the job to its end, with what was entrusted to it; None when it never said how it ended."""
        raise NotImplementedError

    def _tell(self, job_id: int, grace: float = 10.0) -> None:
        """Ask the running job to stop; after `grace` seconds it is made to. Returns at once."""
        raise NotImplementedError
