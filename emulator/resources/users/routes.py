"""GET /status and the user."""

from __future__ import annotations

from fastapi import APIRouter, Response

from emulator.jobs.kinds import State
from emulator.resources.users import service as users
from emulator.service import TheOwner, TheService, TheUser
from emulator.wire.answer import answer

UFORGE = "3.8.13"
"""The version of UForge that is emulated; hammr wants exactly this."""

router = APIRouter()


@router.get("/status")
def status(here: TheService, _asking: TheUser) -> Response:
    """serviceStatus"""
    return answer("serviceStatus", {"alive": True, "version": UFORGE, "serviceLoad": len(here.ledger.jobs(State.RUNNING))})


@router.get("/users/{uid}")
def show(owner: TheOwner) -> Response:
    """user"""
    return answer("user", users.tell(owner))
