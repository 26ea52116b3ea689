"""Cloud accounts: rows 12 to 15 of the call table."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response

from emulator.resources.accounts import service as accounts
from emulator.service import TheOwner, TheService
from emulator.wire.answer import answer, collection, nothing
from emulator.wire.body import body

router = APIRouter(prefix="/users/{uid}/accounts")


@router.get("")
def index(here: TheService, owner: TheOwner) -> Response:
    with here.database.read() as session:
        found = accounts.accounts(session, owner)
    return collection("credAccounts", "credAccount", [accounts.tell(owner, one) for one in found])


@router.post("")
def create(asked: Annotated[dict[str, Any], Depends(body("credAccount"))], here: TheService, owner: TheOwner) -> Response:
    """Kept as it is given: whether the cloud takes it shows when it is used."""
    return answer("credAccount", accounts.tell(owner, accounts.create(here, owner, asked)), 201)


@router.get("/{caid}")
def show(caid: int, here: TheService, owner: TheOwner) -> Response:
    with here.database.read() as session:
        return answer("credAccount", accounts.tell(owner, accounts.find(session, owner, caid)))


@router.delete("/{caid}")
def delete(caid: int, here: TheService, owner: TheOwner) -> Response:
    with here.database.read() as session:
        found = accounts.find(session, owner, caid)
    accounts.remove(here, found)
    return nothing()
