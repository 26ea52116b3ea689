"""Publications: rows 17, 34 to 36 and 59 to 61 of the call table."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, ConfigDict
from starlette.background import BackgroundTask

from emulator.errors import Conflict
from emulator.jobs.kinds import State
from emulator.resources.appliances import builds
from emulator.resources.images import routes as images
from emulator.resources.images.service import Found as FoundImage
from emulator.resources.publications import service as publications
from emulator.resources.status import op_status
from emulator.service import TheOwner, TheService
from emulator.wire.answer import answer, collection, lasting, nothing
from emulator.wire.body import body
from emulator.wire.download import hashed
from scanner.errors import NotFound, UserError

router = APIRouter()
USER = "/users/{uid}"
MINE = USER + "/pimages"
SCANS = images.SCAN + "/{iid}/pimages"
TEMPLATES = USER + "/appliances/{aid}/images/{iid}/pimages"
OfScan = Annotated[FoundImage, Depends(images.found)]
OfTemplate = Annotated[FoundImage, Depends(builds.found)]
Asked = Annotated[dict[str, Any], Depends(body("publishImage"))]


class PublishRequest(BaseModel):
    """A builder file, as the user wrote it, and the account when it is not the file's."""

    model_config = ConfigDict(extra="forbid")

    fileName: str
    text: str
    account: str | None = None


@router.get(MINE)
def index(here: TheService, owner: TheOwner) -> Response:
    """What the user has published."""
    with here.database.read() as session:
        told = publications.tell_all(session, owner)
    return collection("publishImages", "publishImage", told)


@router.post(SCANS)
def publish_of_scan(image: OfScan, asked: Asked, here: TheService, owner: TheOwner) -> Response:
    """Publish an image of a scan to a cloud account: a job."""
    return answer("publishImage", publications.tell(publications.begin(here, owner, image, asked)), 201)


@router.post(TEMPLATES)
def publish_of_template(image: OfTemplate, asked: Asked, here: TheService, owner: TheOwner) -> Response:
    """Publish an image of a template to a cloud account: a job."""
    return answer("publishImage", publications.tell(publications.begin(here, owner, image, asked)), 201)


@router.post(images.FLAT + "/{iid}/publications")
def publish_by_file(asked: PublishRequest, image: images.TheImage, here: TheService, owner: TheOwner) -> Response:
    """By the first builder of the file that is of the image's type."""
    specs = here.rooms.specs(asked.text, asked.fileName)
    fitting = [spec for spec in specs if spec.type.lower() == image[0].type.lower()]
    if not fitting:
        known = ", ".join(dict.fromkeys(spec.type for spec in specs))
        raise UserError(f"no builder of {asked.fileName} is of the image's type '{image[0].type}' (there are: {known})", hint="name the file that the image was built with")
    given = dict(fitting[0].publishing)
    if asked.account:
        given["account"] = asked.account
    return answer("publishImage", publications.tell(publications.begin(here, owner, image, given)), 201)


def found(
    pid: int, here: TheService, owner: TheOwner, iid: int | None = None, aid: int | None = None, siid: int | None = None, sid: int | None = None
) -> publications.Found:
    """The publication in the path. Raises `NotFound`, also when it is not of the template or scan there."""
    with here.database.read() as session:
        row, job = publications.find(session, owner, pid, iid)
    # Its image may be gone: what it was made from is in its own name.
    source = f"/appliances/{aid}/" if aid is not None else f"/scannedinstances/{siid}/scans/{sid}/" if sid is not None else "/"
    if source not in row.image_uri:
        raise NotFound(f"there is no publication {pid} of that image", hint="forgelet image list")
    return row, job


ThePublication = Annotated[publications.Found, Depends(found)]


@router.get(MINE + "/{pid}")
@router.get(SCANS + "/{pid}")
@router.get(TEMPLATES + "/{pid}")
def show(publication: ThePublication) -> Response:
    """One published image."""
    return answer("publishImage", publications.tell(publication))


@router.get(MINE + "/{pid}/status")
@router.get(SCANS + "/{pid}/status")
@router.get(TEMPLATES + "/{pid}/status")
def status(publication: ThePublication) -> Response:
    """How far a publication has come."""
    return lasting("status", op_status(publication[1]))


@router.delete(MINE + "/{pid}/cancel")
@router.delete(SCANS + "/{pid}/cancel")
@router.delete(TEMPLATES + "/{pid}/cancel")
def cancel(publication: ThePublication, here: TheService) -> Response:
    """Cancel a publication that is under way."""
    publications.cancel(here, publication)
    return nothing()


@router.delete(MINE + "/{pid}")
@router.delete(SCANS + "/{pid}")
@router.delete(TEMPLATES + "/{pid}")
def delete(publication: ThePublication, here: TheService, owner: TheOwner) -> Response:
    """Out of its cloud, and off the list."""
    publications.withdraw(here, owner, publication)
    return nothing()


@router.get(MINE + "/{pid}/download")
def download(publication: ThePublication, here: TheService, owner: TheOwner) -> Response:
    """The image as the cloud has it, its hash checked against what was sent."""
    row, job = publication
    if job.state != State.DONE:
        raise Conflict(f"publication {row.id} cannot be downloaded: it is {job.state}", hint=f"forgelet job show {job.id}")
    file = publications.fetch(here, owner, row)
    return hashed(file, f"{row.name}.{row.cloud_id}", "sha512", row.sha512, BackgroundTask(file.unlink, missing_ok=True))
