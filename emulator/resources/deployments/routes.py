"""Deployments: rows 64 to 67 of the call table. What was never published cannot be deployed, so there is none."""

from __future__ import annotations

from fastapi import APIRouter, Response

from emulator.service import TheOwner
from emulator.wire.answer import collection
from scanner.errors import NotFound

router = APIRouter(prefix="/users/{uid}/deployments")


@router.get("")
def index(owner: TheOwner) -> Response:
    """deployments: none, as none can be made."""
    return collection("deployments", "deployment", [])


@router.get("/{did}")
@router.get("/{did}/status")
@router.delete("/{did}")
def show(did: str, owner: TheOwner) -> Response:
    """`did` is a deployment's applicationId, a text."""
    raise NotFound(f"there is no deployment '{did}': nothing can be deployed yet", hint="forgelet image list")
