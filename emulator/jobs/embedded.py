"""The queue that is always there: one child process a job, each with its own process group. Nothing to install."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping

from emulator.folders import Folders
from emulator.jobs import process
from emulator.jobs.base import BaseQueue, Run, interrupted
from emulator.jobs.kinds import State
from emulator.jobs.ledger import Ledger
from emulator.jobs.outcome import Outcome
from emulator.jobs.settle import settle
from emulator.resources.jobs.tables import Job
from scanner.host import clock
from scanner.host.run import popen


class EmbeddedQueue(BaseQueue):
    """Jobs in child processes of this service.

    What is entrusted to a job is the first line of its child's standard input (empty for the others), so it is in no file, argument or
    environment. After it that input is the child's lifeline: when the service is gone, however it went, the pipe closes and the child ends its group.
    """

    def __init__(self, ledger: Ledger, folders: Folders, environment: Mapping[str, str]) -> None:
        super().__init__(ledger, folders)
        self._environment = environment
        self._groups: dict[int, int] = {}

    def _perform(self, run: Run, secret: str) -> Outcome | None:
        argv = [sys.executable, "-P", "-m", "emulator.jobs.child", str(run.id), "--data", str(self.folders.data)]
        self.folders.job(run.id).mkdir(parents=True, exist_ok=True, mode=0o700)
        with self.folders.log(run.id).open("ab") as log:
            with popen(argv, stdin=subprocess.PIPE, stdout=log, stderr=log, env=self._environment, session=True) as child:
                assert child.stdin
                # A child that died already is seen below.
                with contextlib.suppress(BrokenPipeError):
                    child.stdin.write(secret.encode() + b"\n")
                    child.stdin.flush()
                self._attend(run, child.pid)
        return Outcome.load(self.folders.outcome(run.id))

    def _attend(self, run: Run, pid: int) -> None:
        with self._lock:
            if run.abandoned:
                process.tell_group(pid, signal.SIGKILL)
            else:
                self._groups[run.id] = pid
                self.ledger.process(run.id, pid, process.birth(pid))
                if self._stopping or self.ledger.get(run.id).cancel_requested:
                    self._tell(run.id)
        # Waited for but not reaped: until the group is told, its number cannot come to mean another process.
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        process.tell_group(pid, signal.SIGKILL)
        with self._lock:
            if self._groups.get(run.id) == pid:
                del self._groups[run.id]

    def _end(self, run: Run) -> None:
        group = self._groups.pop(run.id, None)
        if group is not None:
            process.tell_group(group, signal.SIGKILL)
            # Of a zombie, which it is until `_attend` reaps it, nothing moves.
            while process.birth(group) is not None:
                clock.sleep(0.001)

    def _tell(self, job_id: int, grace: float = 10.0) -> None:
        group = self._groups.get(job_id)
        if group is not None:
            process.tell_group(group, signal.SIGTERM)
            late = threading.Timer(grace, self._insist, (job_id, group))
            late.daemon = True
            late.start()

    def _insist(self, job_id: int, group: int) -> None:
        with self._lock:
            if self._groups.get(job_id) == group:
                process.tell_group(group, signal.SIGKILL)

    def _recover(self, job: Job) -> None:
        assert job.id is not None
        if job.pid is not None and job.birth is not None and process.birth(job.pid) == job.birth:
            process.end_group(job.pid, grace=3)
        said = Outcome.load(self.folders.outcome(job.id))
        settle(self.ledger, self.folders, job, said if said is not None and said.state == State.DONE else interrupted(job))
