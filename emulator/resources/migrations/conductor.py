"""Takes migrations from stage to stage: one thread for each that runs. What is done is in the rows, so a service that was killed goes on."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlmodel import Session, col, select

from emulator.errors import NeverReported
from emulator.jobs.kinds import ENDED, State
from emulator.resources.agents.tables import Download
from emulator.resources.jobs.tables import Job
from emulator.resources.migrations.tables import Migration
from emulator.resources.migrations.wanted import AGENT, FILE, Wanted, builder_file
from emulator.resources.scans.tables import Scan, ScannedInstance
from emulator.resources.users.tables import User
from emulator.storage import stamp
from scanner.errors import Cancelled, ForgeletError, NotFound
from scanner.host import clock

if TYPE_CHECKING:
    from builders.rehearsal import Rehearsal
    from emulator.service import Service
    from scanner.targets.access import Access

log = logging.getLogger("forgelet.migrations")
ADDED = 700
"""MiB for packages that make a container bootable: a kernel with its modules and what goes with it (470 + 150 on Debian 12)."""
SPARE = 1.25
"""Of the size that the contents need, when the builder names none."""
GIB = 1024
"""MiB; such a disk is whole GiB, as flavors are, so that machines of the same packages have a base disk in common."""


@dataclass(frozen=True, slots=True)
class Launcher:
    """The client that launched a migration whose scan an agent reports."""

    address: str
    """From which it fetches the agent."""
    url: str
    """Of the service, as it has it: there the agent shall report."""


class _Gone(Exception):
    """The migration was stopped, resumed by another run or deleted, or is another one by now: this run has nothing more to say."""


class Conductor:
    """Begins what can run, and ends with the service.

    A run of a migration is named by the row's token, which every resume changes. Only the row says whether a run goes on, so whoever stops one
    changes the row first and ends its job then, and whoever begins a job writes it down and sees in the same transaction whether it is wanted.
    """

    def __init__(self, here: Service) -> None:
        self._here = here
        self._access: dict[str, Access] = {}
        """By a run's token, what opens its SSH host: its proof asks there again. In memory only, until it ends."""
        self.rehearsed: dict[str, list[Rehearsal]] = {}
        """By a run's token, what its rehearsal said: the build need not rehearse again."""
        self._launchers: dict[str, Launcher] = {}
        """By a run's token. In memory only: after a restart nobody is told where its agent should have reported."""

    def begin(self) -> None:
        """Go on with those that a service before this one left running. Their jobs are settled first."""
        with self._here.database.read() as session:
            left = session.exec(select(Migration).where(Migration.state == "running")).all()
        for migration in left:
            self.drive(migration)

    def drive(self, migration: Migration, access: Access | None = None, launcher: Launcher | None = None) -> None:
        """Take it through the rest of its stages, in a thread of its own. `access` opens its SSH host; hammr's `launcher` fetches its agent."""
        if launcher is not None:
            self._launchers[migration.token] = launcher
        if access is not None:
            self._access[migration.token] = access
        threading.Thread(target=self._run, args=(migration.id, migration.token), name=f"migration-{migration.id}", daemon=True).start()

    def stop(self, migration: Migration, *, forget: bool = False) -> None:
        """It goes no further, and the job of its stage is cancelled. `forget`: its row goes as well."""
        with self._here.database.write() as session:
            row = session.get(Migration, migration.id)
            if row is None:
                return
            token, job_id, running = row.token, row.job_id, row.state == "running"
            if forget:
                session.delete(row)
            elif running:
                row.state, row.ended, row.error, row.hint, row.exit_code = "cancelled", stamp.now(), "", "", 0
        self._forget(token)
        if running and job_id is not None:
            self._cancel(job_id)

    def _cancel(self, job_id: int) -> None:
        with suppress(NotFound):
            self._here.queue.cancel(job_id)

    def _forget(self, token: str) -> None:
        self._access.pop(token, None)
        self._launchers.pop(token, None)
        self.rehearsed.pop(token, None)

    def _run(self, number: int, token: str) -> None:
        try:
            migration = self._get(number, token)
            for stage in Wanted.model_validate(migration.wanted).stages():
                migration = self._get(number, token)
                stages = Wanted.model_validate(migration.wanted).stages()
                if stages.index(stage) < stages.index(migration.stage):
                    continue
                self._go_through(migration, stage)
            self._end(number, token, "done")
        except _Gone:
            return
        except Cancelled:
            self._end(number, token, "cancelled")
        except ForgeletError as error:
            self._end(number, token, "failed", error.message, error.hint, error.exit_code)
        except Exception:
            log.exception("migration %s could not go on", number)
            self._end(number, token, "failed", "an internal fault of the service", "the service's log has the whole story", 5)

    def _get(self, number: int, token: str) -> Migration:
        with self._here.database.read() as session:
            found = session.get(Migration, number)
        if found is None or not _runs(found, token) or self._here.stopping.is_set():
            raise _Gone
        return found

    def wanted(self, migration: Migration) -> None:
        """Raises when this run of it goes no further."""
        assert migration.id is not None
        self._get(migration.id, migration.token)

    def _go_through(self, migration: Migration, stage: str) -> None:
        """Begin the stage's job when it has none yet, and wait until it is done. Raises what went wrong."""
        job_id = migration.job_id if migration.stage == stage else None
        if job_id is None:
            self._note(migration, stage=stage, job_id=None)
            with self._here.database.read() as session:
                user = session.get_one(User, migration.user_id)
            begun = BEGIN[stage](self._here, user, migration)
            if begun is None:
                return
            job_id = begun[1]
            if not self.adopt(migration, (stage, begun[0]), job_id):
                return
        self._wait(migration, job_id)

    def adopt(self, migration: Migration, made: tuple[str, int], job_id: int) -> bool:
        """The job that was begun for the run is its stage's. False when the run goes no further; then the job does not, either."""
        try:
            self._note(migration, made=made, job_id=job_id)
        except _Gone:
            self._cancel(job_id)
            return False
        return True

    def _wait(self, migration: Migration, job_id: int) -> None:
        while True:
            self.wanted(migration)
            job = self._here.ledger.find(job_id)
            if job is None:
                raise _Gone
            if job.state in ENDED:
                break
            self._here.queue.wait(job_id, 0.5)
        if job.state == State.CANCELLED:
            raise Cancelled("cancelled")
        if job.state == State.FAILED:
            raise _StageFailed(job)
        if job.exit_code in (4, 5):
            raise _StageFailed(job, job.message)

    def _note(self, migration: Migration, *, stage: str | None = None, made: tuple[str, int] | None = None, job_id: int | None) -> None:
        with self._here.database.write() as session:
            row = session.get(Migration, migration.id)
            if row is None or not _runs(row, migration.token):
                raise _Gone
            row.job_id = job_id
            if stage is not None:
                row.stage = stage
            if made is not None:
                row.made = {**row.made, made[0]: made[1]}
        # What comes next is begun with what the row says.
        migration.stage, migration.made, migration.job_id = row.stage, row.made, row.job_id

    def access(self, migration: Migration) -> Access | None:
        """What opens its SSH host, if that was said to this service."""
        return self._access.get(migration.token)

    def launcher(self, migration: Migration) -> Launcher | None:
        """Who launched it, if that was this service's to see."""
        return self._launchers.get(migration.token)

    def _end(self, number: int, token: str, state: str, error: str = "", hint: str = "", exit_code: int = 0) -> None:
        self._forget(token)
        with self._here.database.write() as session:
            row = session.get(Migration, number)
            if row is None or not _runs(row, token):
                return
            row.state, row.error, row.ended = state, error, stamp.now()
            row.exit_code = exit_code
            row.hint = f"{hint}; then go on: forgelet migration resume {number}".lstrip("; ") if state == "failed" else hint


def _runs(row: Migration, token: str) -> bool:
    return row.token == token and row.state == "running"


class _StageFailed(ForgeletError):
    """A stage's job ended badly: its own words."""

    def __init__(self, job: Job, message: str = "") -> None:
        super().__init__(message or job.error or job.message, hint=job.hint or f"forgelet job log {job.id}")
        self.exit_code = job.exit_code or 5


def _scan(here: Service, user: User, migration: Migration) -> tuple[int, int]:
    """Wait for the scan that hammr's agent begins under the migration's name: so long after its download, or twice so long when there was
    none. Raises `NeverReported`."""
    from emulator.resources.agents import downloads

    assert Wanted.model_validate(migration.wanted).target == AGENT
    launcher = here.conductor.launcher(migration)
    deadline = clock.elapsed() + 2 * here.settings.agent_wait
    while True:
        here.conductor.wanted(migration)
        with here.database.read() as session:
            found = _reported(session, user, migration)
        if found is not None:
            assert found.id is not None
            return found.id, found.job_id
        download = downloads.awaited_since(here, launcher.address, migration.created) if launcher else None
        late = clock.elapsed() >= deadline if download is None else downloads.age(download) >= here.settings.agent_wait
        if late or (download is not None and download.reason):
            raise _given_up(here, migration, launcher, download)
        clock.sleep(0.5)


def _given_up(here: Service, migration: Migration, launcher: Launcher | None, download: Download | None) -> NeverReported:
    """Why there is no scan: what the agent itself said, or where it was to report."""
    if download is not None:
        with here.database.write() as session:
            session.get_one(Download, download.id).given_up = True
        if download.reason:
            return NeverReported(f"the scan of '{migration.name}' could not begin: {download.reason}", hint="mend that; hammr migration launch, again")
    after = f"{here.settings.agent_wait:g} seconds" if download is not None else "the time that it had; hammr did not even fetch one"
    where = launcher.url if launcher else "the URL that hammr was given"
    return NeverReported(
        f"no agent reported for '{migration.name}' within {after}: the machine could not reach {where}, or has no Python 3",
        hint="serve where that machine can reach it (forgelet serve --host); hammr migration launch, again",
    )


def _reported(session: Session, user: User, migration: Migration) -> Scan | None:
    wanted = select(Scan).join(ScannedInstance).where(ScannedInstance.user_id == user.id, ScannedInstance.name == migration.name, Scan.created >= migration.created)
    return session.exec(wanted.order_by(col(Scan.id).desc())).first()


def _rehearse(here: Service, user: User, migration: Migration) -> None:
    """Ask what the build would meet, and raise what blocks it. No job: whoever stops the migration meanwhile need not wait for the answer."""
    from builders.rehearsal import refuse
    from emulator.resources.images import service as images

    told = images.rehearse(here, user, *_source(here, migration))
    refuse(told, FILE)
    here.conductor.rehearsed[migration.token] = told


def _build(here: Service, user: User, migration: Migration) -> tuple[int, int]:
    from emulator.resources.images import service as images

    told = here.conductor.rehearsed.pop(migration.token, None)
    [(image, _, job)] = images.begin(here, user, *_source(here, migration), told=told)
    return image.id or 0, job.id or 0


def _source(here: Service, migration: Migration) -> tuple[int, int, str, str]:
    """What is built, and by which builder file: group, scan, name and text of the file."""
    from builders.size import Size, size_of
    from scanner.report import Report

    scan_id = migration.made["scan"]
    with here.database.read() as session:
        instance_id = session.get_one(Scan, scan_id).instance_id
    found = size_of(Report(here.folders.scan(scan_id)), ())
    least = Size(found.source, found.added + ADDED, found.files).least
    return instance_id, scan_id, FILE, builder_file(migration.wanted["builder"], math.ceil(least * SPARE / GIB) * GIB)


def _publish(here: Service, user: User, migration: Migration) -> tuple[int, int]:
    from emulator.resources.images import service as images
    from emulator.resources.publications import service as publications

    with here.database.read() as session:
        image = images.find(session, user, migration.made["build"])
    publication, job = publications.begin(here, user, image, migration.wanted["builder"])
    return publication.id or 0, job.id or 0


def _provision(here: Service, user: User, migration: Migration) -> tuple[int, int]:
    from emulator.resources.deployments import service as deployments
    from emulator.resources.publications import service as publications

    with here.database.read() as session:
        publication = publications.find(session, user, migration.made["publish"])
    deployment, _, job = deployments.begin(here, user, publication, Wanted.model_validate(migration.wanted).request())
    return deployment.id or 0, job.id or 0


def _verify(here: Service, user: User, migration: Migration) -> tuple[int, int]:
    from emulator.resources.images import proofs
    from emulator.resources.images import service as images

    with here.database.read() as session:
        image = images.find(session, user, migration.made["build"])
    job = proofs.begin(here, user, image, migration.wanted["probes"], access=here.conductor.access(migration))
    return job.id or 0, job.id or 0


BEGIN: dict[str, Callable[[Service, User, Migration], tuple[int, int] | None]] = {
    "scan": _scan,
    "rehearse": _rehearse,
    "build": _build,
    "publish": _publish,
    "provision": _provision,
    "verify": _verify,
}
"""Stage -> begins its job; answers the number of what comes of it, and the job's. None: it is done already."""
