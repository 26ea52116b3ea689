"""A queue that runs jobs in threads of this process, with tasks of the caller's: for tests of everything around jobs."""

from __future__ import annotations

from collections.abc import Mapping

from emulator.folders import Folders
from emulator.jobs.base import BaseQueue, Run, interrupted
from emulator.jobs.ledger import Ledger
from emulator.jobs.outcome import Outcome
from emulator.jobs.progress import Stop
from emulator.jobs.settle import settle
from emulator.jobs.tasks import TASKS, Task
from emulator.jobs.work import carry_out
from emulator.resources.jobs.tables import Job


class InProcessQueue(BaseQueue):
    """Same behaviour as `EmbeddedQueue`; a cancel is seen at the next word of progress, and nothing survives a kill."""

    def __init__(self, ledger: Ledger, folders: Folders, tasks: Mapping[str, Task] = TASKS) -> None:
        super().__init__(ledger, folders)
        self._tasks = tasks
        self._stops: dict[int, Stop] = {}

    def _launch(self, job: Job) -> None:
        assert job.id is not None
        self._stops[job.id] = Stop()
        super()._launch(job)

    def _perform(self, run: Run, secret: str) -> Outcome | None:
        self.folders.job(run.id).mkdir(parents=True, exist_ok=True, mode=0o700)
        with self.folders.log(run.id).open("a", encoding="utf-8", errors="backslashreplace") as log:
            tools = (self._tasks, self._stops[run.id], lambda line: print(line, file=log, flush=True))
            return carry_out(self.ledger, self.folders, run.id, *tools, secret=secret)

    def _tell(self, job_id: int, grace: float = 10.0) -> None:
        self._stops[job_id].ask()

    def _recover(self, job: Job) -> None:
        settle(self.ledger, self.folders, job, interrupted(job))

    def _end(self, run: Run) -> None:
        self._stops[run.id].ask()
        run.performed.wait(30)
