"""Images of templates: rows 54 to 58 of the call table. What an image is once it is asked for is in `emulator/resources/images/`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, ConfigDict

from emulator.errors import Conflict
from emulator.resources.appliances import service as templates
from emulator.resources.appliances.tables import Appliance
from emulator.resources.images import service as images
from emulator.resources.images.asked import profile_of, spec_of
from emulator.resources.quotas import service as quotas
from emulator.resources.status import op_status
from emulator.resources.users.tables import User
from emulator.service import Service, TheOwner, TheService
from emulator.wire.answer import answer, collection, lasting, nothing, our_collection
from emulator.wire.body import body
from emulator.wire.query import parse

if TYPE_CHECKING:
    from builders.rehearsal import Rehearsal
    from builders.spec import BuilderSpec

router = APIRouter(prefix="/users/{uid}/appliances/{aid}")


class BuildRequest(BaseModel):
    """A builder file, as the user wrote it."""

    model_config = ConfigDict(extra="forbid")

    fileName: str
    text: str
    simulated: bool = False
    offline: bool = False


def found(aid: int, iid: int, here: TheService, owner: TheOwner) -> images.Found:
    """The image in the path. Raises `NotFound`."""
    with here.database.read() as session:
        return images.find(session, owner, iid, appliance_id=aid)


TheImage = Annotated[images.Found, Depends(found)]


@router.post("/images")
def create(aid: int, asked: Annotated[dict[str, Any], Depends(body("image"))], here: TheService, owner: TheOwner) -> Response:
    """One image, queued."""
    made = begin(here, owner, aid, [_spec(here, owner, aid, asked)], simulated=bool(asked.get("simulated")), profile=profile_of(asked))
    return answer("image", images.tell(here.folders, owner, made[0]), 201)


@router.post("/rehearsals")
def rehearse_file(aid: int, asked: BuildRequest, here: TheService, owner: TheOwner) -> Response:
    """What each builder of the file would meet (`builders.rehearsal.Rehearsal`); nothing is started."""
    told = rehearse(here, owner, aid, images.cut_off(here.rooms.specs(asked.text, asked.fileName), asked.offline))
    return our_collection("rehearsals", "rehearsal", [one.model_dump(mode="json") for one in told])


@router.post("/builds")
def create_from_file(aid: int, asked: BuildRequest, here: TheService, owner: TheOwner) -> Response:
    """images, queued in the order of the file."""
    specs = images.cut_off(here.rooms.specs(asked.text, asked.fileName), asked.offline)
    made = begin(here, owner, aid, specs, simulated=asked.simulated, name=asked.fileName)
    return collection("images", "image", [images.tell(here.folders, owner, one) for one in made], 201)


@router.get("/images")
def index(aid: int, here: TheService, owner: TheOwner, query: str | None = None) -> Response:
    """The machine images of a template."""
    wanted = parse(query)
    with here.database.read() as session:
        templates.find(session, owner, aid)
        told = images.tell_all(session, here.folders, owner, appliance_id=aid)
    return collection("images", "image", [one for one in told if wanted.keeps(one)])


@router.get("/images/{iid}")
def show(here: TheService, owner: TheOwner, image: TheImage) -> Response:
    """One machine image of a template."""
    return answer("image", images.tell(here.folders, owner, image))


@router.get("/images/{iid}/status")
def status(image: TheImage) -> Response:
    """How far the build of a template's image has come."""
    return lasting("status", op_status(image[2]))


@router.delete("/images/{iid}/status")
def cancel(here: TheService, image: TheImage) -> Response:
    """Stop the build."""
    images.cancel(here, image)
    return nothing()


@router.delete("/images/{iid}")
def delete(here: TheService, image: TheImage) -> Response:
    """Delete a template's image and its file."""
    images.remove(here, image)
    return nothing()


def _spec(here: Service, user: User, aid: int, asked: dict[str, Any]) -> BuilderSpec:
    """What the client asks for; the disk's size is the template's when none is named. Raises `UserError`."""
    with here.database.read() as session:
        return spec_of(asked, templates.install_profile(user, templates.find(session, user, aid))["diskSize"])


def begin(
    here: Service,
    user: User,
    appliance_id: int,
    specs: list[BuilderSpec],
    *,
    simulated: bool = False,
    name: str = "request",
    profile: dict[str, Any] | None = None,
) -> list[images.Found]:
    """Check everything, then queue one build per builder. Raises `UserError`; then nothing was started."""
    from builders.rehearsal import refuse

    with here.database.read() as session:
        appliance = templates.find(session, user, appliance_id)
    told = rehearse(here, user, appliance_id, specs)
    refuse(told, name)
    quotas.room(here, user)
    with here.database.write() as session:
        quotas.claim(session, user, "generation", len(specs))
        assert user.id is not None
        if session.get(Appliance, appliance_id) is None:
            raise Conflict(f"template {appliance_id} was deleted meanwhile")
        made = [
            images.add(session, user, appliance, spec, profile or {}, simulated=simulated, conditions=images.conditions(one))
            for spec, one in zip(specs, told, strict=True)
        ]
    here.queue.submit()
    return made


def rehearse(here: Service, user: User, appliance_id: int, specs: Sequence[BuilderSpec]) -> list[Rehearsal]:
    """What a build of the template by each of the specs would meet. Raises `NotFound`, `UserError`."""
    from builders.stack import parse_document
    from builders.template import Template

    with here.database.read() as session:
        appliance = templates.find(session, user, appliance_id)
    template = Template(parse_document(appliance.stack), here.folders.template(appliance_id))
    return here.rooms.rehearse_template(template, specs, here.folders.cache)
