"""Distributions, their profiles and their packages: rows 5 to 8 of the call table."""

from __future__ import annotations

from fastapi import APIRouter, Response

from emulator.resources.distributions import service as distributions
from emulator.service import TheOwner, TheService, TheUser
from emulator.wire.answer import answer, collection
from emulator.wire.query import parse

router = APIRouter()


@router.get("/users/{uid}/distros")
def index(here: TheService, owner: TheOwner) -> Response:
    """The distributions that the user's machines can be built of."""
    with here.database.read() as session:
        return collection("distributions", "distribution", distributions.distributions(session, owner))


@router.get("/distributions/{did}")
def show(did: int, here: TheService, asking: TheUser) -> Response:
    """One distribution."""
    with here.database.read() as session:
        return answer("distribution", distributions.find(session, asking, did))


@router.get("/distributions/{did}/profiles")
def profiles(did: int, here: TheService, asking: TheUser) -> Response:
    """The installation profiles of a distribution."""
    with here.database.read() as session:
        found = distributions.find(session, asking, did)
    return collection("distribProfiles", "distribProfile", distributions.profiles(found))


@router.get("/distributions/{did}/pkgs")
def packages(did: int, here: TheService, asking: TheUser, query: str | None = None) -> Response:
    """What the repositories offer; `query`: `name==ng*`."""
    with here.database.read() as session:
        found = distributions.find(session, asking, did)
    return collection("packages", "pkg", distributions.packages(here, found, parse(query, wild=True)), wrapper="pkgs")
