"""Publications: rows 17, 34 to 38 and 59 to 63 of the call table.

Nothing can be published before Forgelet reaches clouds, so there is none to list; each call still checks the image that it is about.
"""

from __future__ import annotations

from typing import Annotated, Any, NoReturn

from fastapi import APIRouter, Depends, Response

from emulator.errors import Conflict, NotYet
from emulator.jobs.kinds import State
from emulator.resources.appliances import builds
from emulator.resources.images import routes as images
from emulator.resources.images.service import Found
from emulator.service import TheOwner
from emulator.wire.answer import collection
from emulator.wire.body import body
from scanner.errors import NotFound

router = APIRouter()
USER = "/users/{uid}"
SCANS = images.SCAN + "/{iid}/pimages"
TEMPLATES = USER + "/appliances/{aid}/images/{iid}/pimages"
OfScan = Annotated[Found, Depends(images.found)]
OfTemplate = Annotated[Found, Depends(builds.found)]
Asked = Annotated[dict[str, Any], Depends(body("publishImage"))]


@router.get(USER + "/pimages")
def index(owner: TheOwner) -> Response:
    """publishImages: none, as none can be made."""
    return collection("publishImages", "publishImage", [])


@router.post(SCANS)
def publish_of_scan(image: OfScan, asked: Asked) -> Response:
    _publish(image)


@router.post(TEMPLATES)
def publish_of_template(image: OfTemplate, asked: Asked) -> Response:
    _publish(image)


def _publish(found: Found) -> NoReturn:
    image, _, job = found
    if job.state != State.DONE:
        raise Conflict(f"image {image.id} cannot be published: it is {job.state}", hint=f"forgelet job show {job.id}")
    raise NotYet(
        "images cannot be published yet: Forgelet does not reach clouds; nothing was sent",
        hint=f"forgelet image download --id {image.id} --file FILE, then upload the file yourself",
    )


@router.get(SCANS + "/{pid}/status")
@router.delete(SCANS + "/{pid}/cancel")
@router.get(SCANS + "/{pid}/accounts/{caid}/resources")
@router.post(SCANS + "/{pid}/deploys")
def one_of_scan(pid: int, image: OfScan) -> Response:
    _missing(pid)


@router.get(TEMPLATES + "/{pid}/status")
@router.delete(TEMPLATES + "/{pid}/cancel")
@router.get(TEMPLATES + "/{pid}/accounts/{caid}/resources")
@router.post(TEMPLATES + "/{pid}/deploys")
def one_of_template(pid: int, image: OfTemplate) -> Response:
    _missing(pid)


def _missing(publication: int) -> NoReturn:
    raise NotFound(f"there is no publication {publication}: images cannot be published yet", hint="forgelet image list")
