"""Migrations: rows 81 to 84 of the call table, and ours beside them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict

from emulator.resources.agents import waits
from emulator.resources.migrations import service as migrations
from emulator.resources.migrations.conductor import Launcher
from emulator.resources.migrations.tables import Migration
from emulator.resources.migrations.wanted import Launch, of_hammr
from emulator.service import TheOwner, TheService
from emulator.wire.answer import answer, collection, nothing
from emulator.wire.body import body
from scanner.targets.access import Access

router = APIRouter(prefix="/users/{uid}/migrations")


class ResumeRequest(BaseModel):
    """What opens the source again, when the scan has to be done again."""

    model_config = ConfigDict(extra="forbid")

    access: Access | None = None


def found(mid: int, here: TheService, owner: TheOwner) -> Migration:
    """The migration in the path. Raises `NotFound`."""
    with here.database.read() as session:
        return migrations.find(session, owner, mid)


TheMigration = Annotated[Migration, Depends(found)]


@router.get("")
def index(here: TheService, owner: TheOwner) -> Response:
    """The user's migrations."""
    with here.database.read() as session:
        return collection("migrations", "migration", [migrations.tell(session, owner, one) for one in migrations.migrations(session, owner)])


@router.post("")
def launch(request: Request, here: TheService, owner: TheOwner, asked: Annotated[dict[str, Any], Depends(body("migration"))]) -> Response:
    """As hammr asks for it: its agent scans the machine, and reports under the migration's name."""
    made = migrations.launch(here, owner, of_hammr(asked), launcher=Launcher(waits.address(request), waits.base(request)))
    with here.database.read() as session:
        return answer("migration", migrations.tell(session, owner, made), 201)


@router.post("/launches")
def launch_ours(here: TheService, owner: TheOwner, asked: Launch) -> Response:
    """Any source that Forgelet scans by itself, with an instance and a proof at the end when they are wanted."""
    made = migrations.launch(here, owner, asked.wanted(), asked.access)
    with here.database.read() as session:
        return answer("migration", migrations.tell(session, owner, made), 201)


@router.get("/{mid}")
def show(migration: TheMigration, here: TheService, owner: TheOwner) -> Response:
    """One migration with its stages."""
    with here.database.read() as session:
        return answer("migration", migrations.tell(session, owner, migration))


@router.delete("/{mid}")
def delete(migration: TheMigration, here: TheService) -> Response:
    """Forgotten; what it made stays."""
    migrations.remove(here, migration)
    return nothing()


@router.post("/{mid}/stop")
def stop(migration: TheMigration, here: TheService) -> Response:
    """Stop a migration; what it has finished stays."""
    migrations.stop(here, migration)
    return nothing()


@router.post("/{mid}/resume")
def resume(migration: TheMigration, asked: ResumeRequest, here: TheService, owner: TheOwner) -> Response:
    """From the stage at which it stopped."""
    again = migrations.resume(here, owner, migration, asked.access)
    with here.database.read() as session:
        return answer("migration", migrations.tell(session, owner, again))


