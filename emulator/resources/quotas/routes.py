"""Quotas: row 3 of the call table."""

from __future__ import annotations

from fastapi import APIRouter, Response

from emulator.resources.quotas import service as quotas
from emulator.service import TheOwner, TheService
from emulator.wire.answer import collection

router = APIRouter()


@router.get("/users/{uid}/quotas")
def index(here: TheService, owner: TheOwner) -> Response:
    """What the user may have, and how much of it is there."""
    return collection("quotas", "quota", quotas.tell(here, owner))
