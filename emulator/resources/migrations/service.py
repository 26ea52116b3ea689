"""Migrations: launch, find, tell, stop, go on, forget. `conductor.py` takes them from stage to stage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlmodel import Session, col, select

from emulator.errors import Conflict
from emulator.resources.accounts.opening import reachable
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
from scanner.errors import NotFound, UserError
from scanner.targets.access import Access

LARGE = 2**20
"""MiB: what stands for the size of a disk that is not known before the scan is done."""
SAYS = {"scan": "Scanning", "build": "Building", "publish": "Publishing", "provision": "Starting the instance", "verify": "Proving"}


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
    messages = {"running": f"{where}: {job.message}" if job else f"{where}: waiting for the agent", "done": "Done", "cancelled": f"Cancelled: {where}", "failed": f"Failed: {where}"}
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
        asked_of(wanted.builder, wanted.name)
        with here.database.read() as session:
            reachable(publications.named_account(session, user, account_of(wanted.builder.get("account"))))
            if any(one.state == "running" and one.name == wanted.name for one in migrations(session, user)):
                raise Conflict(f"a migration '{wanted.name}' is running already", hint="give another name, or stop it: forgelet migration stop")


def stop(here: Service, migration: Migration) -> None:
    """End it in the stage where it is. What the stages before made stays. Raises `Conflict` when it is not running."""
    if migration.state != "running":
        raise Conflict(f"migration {migration.id} is {migration.state}", hint="forgelet migration list")
    here.conductor.stop(migration)


def resume(here: Service, user: User, migration: Migration, access: Access | None = None) -> Migration:
    """Go on from the stage at which it stopped. Raises `Conflict` when it runs or is done."""
    if migration.state not in ("failed", "cancelled"):
        raise Conflict(f"migration {migration.id} is {migration.state}: there is nothing to go on with", hint="forgelet migration list")
    wanted = Wanted.model_validate(migration.wanted)
    made, job_id = dict(migration.made), None
    if migration.stage == "scan":
        if wanted.target == AGENT:
            raise Conflict("its scan is started by hammr", hint="hammr migration launch, again")
        scan, job = scans.begin(here, user, wanted.name, wanted.target, wanted.overlay, wanted.exclude, access=access)
        assert scan.id is not None
        made["scan"], job_id = scan.id, job.id
    with here.database.write() as session:
        row = session.get_one(Migration, migration.id)
        row.state, row.job_id, row.made, row.error, row.hint, row.exit_code, row.ended = "running", job_id, made, "", "", None, None
    here.conductor.drive(row, access)
    return row


def remove(here: Service, migration: Migration) -> None:
    """Forget it; it is stopped first. Its scan, image, publication and instance stay: they are things of their own."""
    if migration.state == "running":
        here.conductor.stop(migration)
    with here.database.write() as session:
        found = session.get(Migration, migration.id)
        if found is not None:
            session.delete(found)
