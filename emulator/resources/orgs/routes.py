"""The one organisation and its categories: rows 4 and 9 of the call table."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from emulator.resources.formats import catalogue
from emulator.service import TheOwner, TheUser
from emulator.wire.answer import answer, collection
from emulator.wire.query import parse
from scanner.errors import NotFound

router = APIRouter()
ORG: dict[str, Any] = {"dbId": 1, "name": "Forgelet", "defaultOrg": True, "categoriesUri": "orgs/1/categories", "uri": "orgs/1"}


@router.get("/users/{uid}/orgs")
def index(owner: TheOwner) -> Response:
    """Whoever has a login belongs to it."""
    return collection("orgs", "org", [{**ORG, "admin": owner.admin}])


@router.get("/orgs/{oid}")
def show(oid: int, _asking: TheUser) -> Response:
    """One organisation."""
    return answer("org", _found(oid))


@router.get("/orgs/{oid}/categories")
def categories(oid: int, _asking: TheUser, query: str | None = None) -> Response:
    """All, or those that `query` keeps: `type=='PROJECT'`."""
    _found(oid)
    wanted = parse(query)
    return collection("categories", "category", [told for one in catalogue.categories() if wanted.keeps(told := one.tell())])


def _found(oid: int) -> dict[str, Any]:
    if oid != ORG["dbId"]:
        raise NotFound(f"there is no organisation {oid}", hint="there is one, number 1")
    return ORG
