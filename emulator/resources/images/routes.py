"""Images: flat under the user, and under their scan (rows 16, 30 to 33 and 87 of the call table). Both ways lead to the same resource."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, ConfigDict

from emulator.resources.images import proofs
from emulator.resources.images import service as images
from emulator.resources.jobs.service import tell_job
from emulator.resources.scans import service as scans
from emulator.resources.status import op_status
from emulator.service import TheOwner, TheService
from emulator.wire.answer import answer, collection, lasting, nothing, ours
from emulator.wire.body import body
from emulator.wire.download import Download
from scanner.targets.access import Access

router = APIRouter()
FLAT = "/users/{uid}/images"
SCAN = "/users/{uid}/scannedinstances/{siid}/scans/{sid}/images"


def found(iid: int, here: TheService, owner: TheOwner, siid: int | None = None, sid: int | None = None) -> images.Found:
    """The image in the path. Raises `NotFound`, for its scan too."""
    with here.database.read() as session:
        if siid is not None and sid is not None:
            scans.find_scan(session, owner, siid, sid)
        return images.find(session, owner, iid, sid)


TheImage = Annotated[images.Found, Depends(found)]


class VerificationRequest(BaseModel):
    """What to prove."""

    model_config = ConfigDict(extra="forbid")

    probes: list[str] = []
    """`http://:PORT/PATH`, `tcp://:PORT`, `cmd:COMMAND LINE`"""
    source: str = ""
    """Where the probes find the source: a target such as `docker:web`; empty: where it was scanned."""
    access: Access | None = None
    """What opens an SSH host, as of a scan."""
    strict: bool = False
    """What a rule explains counts as well."""


@router.get(FLAT)
@router.get(SCAN)
def index(here: TheService, owner: TheOwner, siid: int | None = None, sid: int | None = None) -> Response:
    """The machine images of a scan, or of the user."""
    with here.database.read() as session:
        if siid is not None and sid is not None:
            scans.find_scan(session, owner, siid, sid)
        told = images.tell_all(session, here.folders, owner, sid)
    return collection("images", "image", told)


@router.post(SCAN)
def create(siid: int, sid: int, asked: Annotated[dict[str, Any], Depends(body("image"))], here: TheService, owner: TheOwner) -> Response:
    """One image of the scan, queued (row 30)."""
    return answer("image", images.tell(here.folders, owner, images.begin_asked(here, owner, siid, sid, asked)), 201)


@router.get(FLAT + "/{iid}")
@router.get(SCAN + "/{iid}")
def show(here: TheService, owner: TheOwner, image: TheImage) -> Response:
    """One machine image, with its provenance."""
    return answer("image", images.tell(here.folders, owner, image))


@router.delete(FLAT + "/{iid}")
@router.delete(SCAN + "/{iid}")
def delete(here: TheService, image: TheImage) -> Response:
    """Delete a machine image and its file."""
    images.remove(here, image)
    return nothing()


@router.get(FLAT + "/{iid}/status")
@router.get(SCAN + "/{iid}/status")
def status(image: TheImage) -> Response:
    """How far the build of an image has come."""
    return lasting("status", op_status(image[2]))


@router.delete(FLAT + "/{iid}/status")
@router.delete(SCAN + "/{iid}/status")
def cancel(here: TheService, image: TheImage) -> Response:
    """Stop what is being done for the image."""
    images.cancel(here, image)
    return nothing()


@router.get(FLAT + "/{iid}/download")
@router.get(SCAN + "/{iid}/download")
def download(here: TheService, image: TheImage, format: str | None = None) -> Response:
    """The disk, in one of the formats that it was built in; ranges are answered."""
    return images.disk(here.folders, image[0], format)


@router.head("/downloads/{iid}/{key}", include_in_schema=False)
@router.get("/downloads/{iid}/{key}")
def download_with_key(iid: int, key: str, here: TheService) -> Response:
    """The first disk, to whoever knows the image's secret: hammr sends no login here (row 87). Ranges are answered."""
    return images.disk(here.folders, images.unlocked(here, iid, key))


@router.post(FLAT + "/{iid}/verifications")
@router.post(SCAN + "/{iid}/verifications")
def verify(asked: VerificationRequest, here: TheService, owner: TheOwner, image: TheImage) -> Response:
    """A proof, queued."""
    made = proofs.begin(here, owner, image, asked.probes, asked.source, strict=asked.strict, access=asked.access)
    return ours("job", tell_job(made), 201)


@router.get(FLAT + "/{iid}/verifications/last")
@router.get(SCAN + "/{iid}/verifications/last")
def last_verification(here: TheService, image: TheImage) -> Response:
    """What the last proof found (`builders.image.Fidelity`)."""
    assert image[0].id is not None
    return ours("verification", proofs.tell(here, image[0].id))


@router.get(FLAT + "/{iid}/verifications/last/page")
@router.get(SCAN + "/{iid}/verifications/last/page")
def last_page(here: TheService, image: TheImage) -> Response:
    """The same as one page that needs nothing else."""
    assert image[0].id is not None
    return Download(proofs.page(here, image[0].id), media_type="text/html")


@router.get(FLAT + "/{iid}/evidence")
@router.get(SCAN + "/{iid}/evidence")
def evidence(here: TheService, image: TheImage) -> Response:
    """Everything that the last proof stands on, as one archive (`builders/proof/evidence.py`)."""
    return Download(proofs.bundle(here, image), media_type="application/gzip", filename=f"evidence-{image[0].id}.tar.gz")
