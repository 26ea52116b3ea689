"""Migrations: rows 81 to 84 of the call table. A migration ends with a publication, so none can be launched before there are those."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response

from emulator.errors import NotYet
from emulator.service import TheOwner
from emulator.wire.answer import collection
from emulator.wire.body import body
from scanner.errors import NotFound

router = APIRouter(prefix="/users/{uid}/migrations")


@router.get("")
def index(owner: TheOwner) -> Response:
    """migrations: none, as none can be launched."""
    return collection("migrations", "migration", [])


@router.post("")
def launch(owner: TheOwner, asked: Annotated[dict[str, Any], Depends(body("migration"))]) -> Response:
    raise NotYet(
        "migrations cannot be launched yet: their last stage publishes, and Forgelet does not reach clouds; nothing was started",
        hint="hammr scan run, then hammr scan build, do the two stages before it",
    )


@router.get("/{mid}")
@router.delete("/{mid}")
def show(mid: int, owner: TheOwner) -> Response:
    raise NotFound(f"there is no migration {mid}: none can be launched yet", hint="forgelet scan run, then forgelet scan build")
