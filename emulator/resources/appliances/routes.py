"""Templates: rows 39 to 45 of the call table."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response

from emulator.resources.appliances import service as templates
from emulator.service import TheOwner, TheService
from emulator.wire.answer import answer, collection, nothing
from emulator.wire.body import body
from emulator.wire.query import parse

router = APIRouter(prefix="/users/{uid}/appliances")


@router.get("")
def index(here: TheService, owner: TheOwner, query: str | None = None) -> Response:
    """The user's templates; with a query, those that it names."""
    wanted = parse(query)
    with here.database.read() as session:
        told = [templates.tell(session, owner, one) for one in templates.appliances(session, owner)]
    return collection("appliances", "appliance", [one for one in told if wanted.keeps(one)])


@router.get("/{aid}")
def show(aid: int, here: TheService, owner: TheOwner) -> Response:
    """One template."""
    with here.database.read() as session:
        return answer("appliance", templates.tell(session, owner, templates.find(session, owner, aid)))


@router.delete("/{aid}")
def delete(aid: int, here: TheService, owner: TheOwner) -> Response:
    """Delete a template with what belongs to it."""
    with here.database.read() as session:
        found = templates.find(session, owner, aid)
    templates.remove(here, found)
    return nothing()


@router.post("/{aid}/clones")
def clone(aid: int, asked: Annotated[dict[str, Any], Depends(body("appliance"))], here: TheService, owner: TheOwner) -> Response:
    """The same template under another name or version."""
    made = templates.clone(here, owner, aid, str(asked.get("name") or ""), str(asked.get("version") or ""))
    with here.database.read() as session:
        return answer("appliance", templates.tell(session, owner, made), 201)


@router.get("/{aid}/installProfile")
def profile(aid: int, here: TheService, owner: TheOwner) -> Response:
    """What the template sets up on the machine besides its packages."""
    with here.database.read() as session:
        found = templates.find(session, owner, aid)
    return answer("installProfile", templates.install_profile(owner, found))
