"""Deployments: rows 37, 38 and 62 to 67 of the call table."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, ConfigDict

from emulator.resources.deployments import service as deployments
from emulator.resources.deployments.instances import Found
from emulator.resources.publications import routes as publications
from emulator.service import TheOwner, TheService
from emulator.wire.answer import answer, collection, nothing, ours
from emulator.wire.body import body
from scanner.errors import NotFound, UserError

router = APIRouter()
MINE = "/users/{uid}/deployments"
ThePublication = publications.ThePublication


class DeployRequest(BaseModel):
    """The instance that is wanted."""

    model_config = ConfigDict(extra="forbid")

    name: str
    flavor: str
    publicKeys: list[str] = []
    """OpenSSH public keys that cloud-init puts into the guest."""
    userData: str = ""
    network: str = ""
    hostname: str = ""
    ports: list[int] = []
    """Ports of the guest that are to be reached on 127.0.0.1 besides 22; for the local cloud."""


@router.get(publications.SCANS + "/{pid}/accounts/{caid}/resources")
@router.get(publications.TEMPLATES + "/{pid}/accounts/{caid}/resources")
def resources(caid: int, publication: ThePublication, here: TheService, owner: TheOwner) -> Response:
    """What the cloud offers for an instance of the image: flavors, networks, keys."""
    row = publication[0]
    if row.account_id != caid:
        raise NotFound(f"publication {row.id} was not sent with account {caid}", hint="forgelet image list")
    return answer("credAccountResources", deployments.tell_resources(deployments.resources(here, owner, row), row.tenant))


@router.get(publications.MINE + "/{pid}/resources")
def own_resources(publication: ThePublication, here: TheService, owner: TheOwner) -> Response:
    """Flavors, networks and zones, with their sizes: UForge's element has only names."""
    found = deployments.resources(here, owner, publication[0])
    flavors = [{"id": one.id, "name": one.name, "vcpus": one.vcpus, "memory": one.memory, "disk": one.disk} for one in found.flavors]
    named = {key: [{"id": one.id, "name": one.name} for one in getattr(found, key)] for key in ("networks", "zones", "keys")}
    return ours("resources", {"flavors": flavors, **named})


@router.post(publications.SCANS + "/{pid}/deploys")
@router.post(publications.TEMPLATES + "/{pid}/deploys")
def deploy(publication: ThePublication, asked: Annotated[dict[str, Any], Depends(body("deployment"))], here: TheService, owner: TheOwner) -> Response:
    """What hammr asks for: name, flavor, network."""
    from builders.clouds.base import Request

    wanted = ((asked.get("instances") or {}).get("instance") or [{}])[-1]
    if wanted.get("xsiType", "InstanceOpenStack") != "InstanceOpenStack":
        raise UserError(f"an image of OpenStack cannot become an {wanted['xsiType']}", hint="the provisioner of the file must be one of OpenStack")
    networks = (str(wanted["networkId"]),) if wanted.get("networkId") else ()
    request = Request(str(asked.get("name") or ""), str(wanted.get("flavorId") or ""), networks=networks)
    return answer("deployment", deployments.tell(here, owner, deployments.begin(here, owner, publication, request)), 201)


@router.post(publications.MINE + "/{pid}/deployments")
def create(publication: ThePublication, asked: DeployRequest, here: TheService, owner: TheOwner) -> Response:
    """Make an instance of a published image: a job."""
    from builders.clouds.base import Request

    request = Request(
        asked.name,
        asked.flavor,
        public_keys=tuple(asked.publicKeys),
        user_data=asked.userData,
        networks=(asked.network,) if asked.network else (),
        hostname=asked.hostname,
        ports=tuple(asked.ports),
    )
    return answer("deployment", deployments.tell(here, owner, deployments.begin(here, owner, publication, request)), 201)


@router.get(MINE)
def index(here: TheService, owner: TheOwner) -> Response:
    """The user's instances."""
    with here.database.read() as session:
        found = deployments.deployments(session, owner)
    return collection("deployments", "deployment", deployments.tell_all(here, owner, found))


def found(did: str, here: TheService, owner: TheOwner) -> Found:
    """The deployment in the path; `did` is its applicationId, a text. Raises `NotFound`."""
    with here.database.read() as session:
        return deployments.find(session, owner, did)


TheDeployment = Annotated[Found, Depends(found)]


@router.get(MINE + "/{did}")
def show(deployment: TheDeployment, here: TheService, owner: TheOwner) -> Response:
    """One instance."""
    return answer("deployment", deployments.tell(here, owner, deployment))


@router.get(MINE + "/{did}/status")
def status(deployment: TheDeployment, here: TheService, owner: TheOwner) -> Response:
    """What has become of an instance."""
    return answer("status", deployments.tell_status(here, owner, deployment))


@router.get(MINE + "/{did}/console")
def console(deployment: TheDeployment, here: TheService, owner: TheOwner) -> Response:
    """The serial console so far."""
    return PlainTextResponse(deployments.console(here, owner, deployment))


@router.delete(MINE + "/{did}")
def terminate(deployment: TheDeployment, here: TheService, owner: TheOwner) -> Response:
    """Take an instance away from its cloud."""
    deployments.terminate(here, owner, deployment)
    return nothing()
