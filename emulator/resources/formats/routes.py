"""Formats and platforms: rows 10 and 11 of the call table."""

from __future__ import annotations

from fastapi import APIRouter, Response

from emulator.resources.formats import catalogue
from emulator.service import TheOwner
from emulator.wire.answer import collection

router = APIRouter(prefix="/users/{uid}")


@router.get("/targetformats")
def formats(_owner: TheOwner) -> Response:
    """Every format; `access` says which this Forgelet builds."""
    return collection("targetFormats", "targetFormat", [one.tell() for one in catalogue.formats()])


@router.get("/targetplatforms")
def platforms(_owner: TheOwner) -> Response:
    """Where accounts can be kept for."""
    return collection("targetPlatforms", "targetPlatform", [one.tell() for one in catalogue.platforms()])
