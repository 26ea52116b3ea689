"""POST of a builder file: one image per builder, all of them rehearsed before any is started; or the rehearsal alone."""

from __future__ import annotations

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict

from emulator.resources.images import service as images
from emulator.service import TheOwner, TheService
from emulator.wire.answer import collection, our_collection

router = APIRouter(prefix="/users/{uid}/scannedinstances/{siid}/scans/{sid}")


class BuildRequest(BaseModel):
    """A builder file, as the user wrote it."""

    model_config = ConfigDict(extra="forbid")

    fileName: str
    text: str
    offline: bool = False
    """Nothing may be fetched: what the cache lacks is named, and nothing is started."""


@router.post("/builds")
def create(siid: int, sid: int, asked: BuildRequest, here: TheService, owner: TheOwner) -> Response:
    """images, queued in the order of the file."""
    made = images.begin(here, owner, siid, sid, asked.fileName, asked.text, offline=asked.offline)
    return collection("images", "image", [images.tell(here.folders, owner, found) for found in made], 201)


@router.post("/rehearsals")
def rehearse(siid: int, sid: int, asked: BuildRequest, here: TheService, owner: TheOwner) -> Response:
    """What each builder of the file would meet (`builders.rehearsal.Rehearsal`); nothing is started."""
    told = images.rehearse(here, owner, siid, sid, asked.fileName, asked.text, offline=asked.offline)
    return our_collection("rehearsals", "rehearsal", [one.model_dump(mode="json") for one in told])
