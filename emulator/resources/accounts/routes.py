"""Cloud accounts: rows 12 to 15 of the call table."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response

from emulator.resources.accounts import service as accounts
from emulator.resources.accounts.opening import ANSWER, cloud_of, reachable
from emulator.service import TheOwner, TheService
from emulator.wire.answer import answer, collection, nothing, ours
from emulator.wire.body import body

router = APIRouter(prefix="/users/{uid}/accounts")


@router.get("")
def index(here: TheService, owner: TheOwner) -> Response:
    """The cloud accounts of a user, without their secrets."""
    with here.database.read() as session:
        found = accounts.accounts(session, owner)
    return collection("credAccounts", "credAccount", [accounts.tell(owner, one) for one in found])


@router.post("")
def create(asked: Annotated[dict[str, Any], Depends(body("credAccount"))], here: TheService, owner: TheOwner) -> Response:
    """Kept as it is given: whether the cloud takes it shows when it is used."""
    return answer("credAccount", accounts.tell(owner, accounts.create(here, owner, asked)), 201)


@router.get("/{caid}")
def show(caid: int, here: TheService, owner: TheOwner) -> Response:
    """One cloud account, without its secrets."""
    with here.database.read() as session:
        return answer("credAccount", accounts.tell(owner, accounts.find(session, owner, caid)))


@router.get("/{caid}/standing")
def standing(caid: int, here: TheService, owner: TheOwner, domain: str = "", project: str = "") -> Response:
    """Who the cloud says that the account is and what it may do: really logged in. `domain` and `project` as a builder would name them."""
    with here.database.read() as session:
        found = accounts.find(session, owner, caid)
    reachable(found)
    said = cloud_of(here, found, {"keystoneDomain": domain, "keystoneProject": project}, ANSWER).check()
    return ours("standing", {"user": said.user, "project": said.project, "abilities": dict(said.abilities), "facts": dict(said.facts)})


@router.put("/{caid}")
def replace(caid: int, asked: Annotated[dict[str, Any], Depends(body("credAccount"))], here: TheService, owner: TheOwner) -> Response:
    """What opens the account is another from now on, such as a corrected password; its name and platform stay."""
    with here.database.read() as session:
        found = accounts.find(session, owner, caid)
    return answer("credAccount", accounts.tell(owner, accounts.replace(here, found, asked)))


@router.delete("/{caid}")
def delete(caid: int, here: TheService, owner: TheOwner) -> Response:
    """Forget a cloud account."""
    with here.database.read() as session:
        found = accounts.find(session, owner, caid)
    accounts.remove(here, found)
    return nothing()
