"""Migrations: launch, find, tell, stop, go on, forget. `conductor.py` takes them from stage to stage."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from sqlmodel import Session, col, select

from emulator.errors import Conflict
from emulator.resources.accounts.opening import cloud_of, reachable
from emulator.resources.deployments import service as deployments
from emulator.resources.jobs.tables import Job
from emulator.resources.migrations.conductor import Launcher
from emulator.resources.migrations.tables import Migration
from emulator.resources.migrations.wanted import AGENT, FILE, Wanted, builder_file
from emulator.resources.publications import service as publications
from emulator.resources.publications.asked import account_of, asked_of
from emulator.resources.scans import service as scans
from emulator.resources.users.tables import User
from emulator.service import Service
from emulator.storage import stamp
from scanner.errors import ForgeletError, NotFound, UserError
from scanner.targets.access import Access

LARGE = 2**20
"""MiB: what stands for the size of a disk that is not known before the scan is done."""
SAYS = {"scan": "Scanning", "rehearse": "Rehearsing", "build": "Building", "publish": "Publishing", "provision": "Starting the instance", "verify": "Proving"}


def uri(user: User, migration: Migration) -> str:
    return f"users/{user.login}/migrations/{migration.id}"


def tell(session: Session, user: User, migration: Migration) -> dict[str, Any]:
    """migration: its status over all stages; `stage`, `stageList`, `made`, `hint` and `exitCode` are ours."""
    wanted = Wanted.model_validate(migration.wanted)
    stages = wanted.stages()
    job = session.get(Job, migration.job_id) if migration.job_id is not None else None
    number = stages.index(migration.stage)
    within = job.percent if job is not None and migration.state == "running" else 0
    done = migration.state == "done"
    where = f"{SAYS[migration.stage]} ({number + 1}/{len(stages)})"
    messages = {"running": f"{where}: {job.message}" if job else f"{where}: waiting for the agent" if migration.stage == "scan" else where, "done": "Done", "cancelled": f"Cancelled: {where}", "failed": f"Failed: {where}"}
    status = {
        "cancelled": migration.state == "cancelled",
        "complete": done,
        "error": migration.state == "failed",
        "errorMessage": migration.error,
        "message": messages[migration.state],
        "percentage": 100 if done else (100 * number + within) // len(stages),
    }
    return {
        "created": migration.created,
        "dbId": migration.id,
        "name": migration.name,
        "status": status,
        "uri": uri(user, migration),
        "cancellable": migration.state == "running",
        "stage": migration.stage,
        "stageList": stages,
        "state": migration.state,
        "jobId": migration.job_id,
        "made": migration.made,
        "hint": migration.hint,
        "exitCode": migration.exit_code,
        "ended": migration.ended,
    }


def migrations(session: Session, user: User) -> Sequence[Migration]:
    return session.exec(select(Migration).where(Migration.user_id == user.id).order_by(col(Migration.id))).all()


def find(session: Session, user: User, migration_id: int) -> Migration:
    """Raises `NotFound`, for other users' too."""
    found = session.get(Migration, migration_id)
    if found is None or found.user_id != user.id:
        raise NotFound(f"there is no migration {migration_id}", hint="forgelet migration list")
    return found


def launch(here: Service, user: User, wanted: Wanted, access: Access | None = None, launcher: Launcher | None = None) -> Migration:
    """Check all that can be checked now, begin the scan, and go on from there. Raises as the stages' own beginnings; then nothing was started."""
    _check(here, user, wanted)
    assert user.id is not None
    made: dict[str, int] = {}
    job_id: int | None = None
    if wanted.target != AGENT:
        scan, job = scans.begin(here, user, wanted.name, wanted.target, wanted.overlay, wanted.exclude, access=access)
        assert scan.id is not None
        made, job_id = {"scan": scan.id}, job.id
    with here.database.write() as session:
        migration = Migration(user_id=user.id, name=wanted.name, wanted=wanted.model_dump(), made=made, job_id=job_id, created=stamp.now())
        session.add(migration)
    here.conductor.drive(migration, access, launcher)
    return migration


def _check(here: Service, user: User, wanted: Wanted) -> None:
    if wanted.provision is not None and not wanted.publish:
        raise UserError("the migration cannot be launched; nothing was started", problems=["provision: only what is published can be provisioned"])
    here.rooms.specs(builder_file(wanted.builder, LARGE), FILE)
    if wanted.publish:
        asked = asked_of(wanted.builder, wanted.name)
        with here.database.read() as session:
            account = publications.named_account(session, user, account_of(wanted.builder.get("account")))
            reachable(account)
            if any(one.state == "running" and one.name == wanted.name for one in migrations(session, user)):
                raise Conflict(f"a migration '{wanted.name}' is running already", hint="give another name, or stop it: forgelet migration stop")
        if wanted.provision is not None:
            deployments.wrong(wanted.request())
            deployments.wrong(wanted.request(), cloud_of(here, account, asked).resources())


def stop(here: Service, migration: Migration) -> None:
    """End it in the stage where it is. What the stages before made stays. Raises `Conflict` when it is not running."""
    if migration.state != "running":
        raise Conflict(f"migration {migration.id} is {migration.state}", hint="forgelet migration list")
    here.conductor.stop(migration)


def resume(here: Service, user: User, migration: Migration, access: Access | None = None) -> Migration:
    """Go on from the stage at which it stopped. Raises `Conflict` when it runs or is done, and as a scan's own beginning; then it stays as it was."""
    wanted = Wanted.model_validate(migration.wanted)
    if migration.stage == "scan" and wanted.target == AGENT:
        raise Conflict("its scan is started by hammr", hint="hammr migration launch, again")
    with here.database.write() as session:
        row = session.get(Migration, migration.id)
        if row is None or row.state not in ("failed", "cancelled"):
            state = "gone" if row is None else row.state
            raise Conflict(f"migration {migration.id} is {state}: there is nothing to go on with", hint="forgelet migration list")
        before = {key: getattr(row, key) for key in ("state", "error", "hint", "exit_code", "ended")}
        # Another token: whatever of an earlier run still moves has nothing to say any more.
        row.token, row.state, row.job_id, row.error, row.hint, row.exit_code, row.ended = uuid.uuid4().hex, "running", None, "", "", None, None
    if row.stage == "scan":
        try:
            scan, job = scans.begin(here, user, wanted.name, wanted.target, wanted.overlay, wanted.exclude, access=access)
        except ForgeletError:
            with here.database.write() as session:
                again = session.get(Migration, row.id)
                if again is not None and again.token == row.token:
                    for key, value in before.items():
                        setattr(again, key, value)
            raise
        assert scan.id is not None and job.id is not None
        if not here.conductor.adopt(row, ("scan", scan.id), job.id):
            raise Conflict(f"migration {migration.id} was stopped meanwhile", hint="forgelet migration list")
    here.conductor.drive(row, access)
    return row


def remove(here: Service, migration: Migration) -> None:
    """Forget it; it is stopped first. Its scan, image, publication and instance stay: they are things of their own."""
    here.conductor.stop(migration, forget=True)
