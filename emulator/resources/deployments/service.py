"""Deployments: begin, find, tell, end. What an instance does is the cloud's to say, and it is asked each time."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from sqlmodel import Session, col, select

from emulator.errors import Conflict
from emulator.jobs import ledger
from emulator.jobs.kinds import ENDED, State
from emulator.resources.accounts.opening import ANSWER, cloud_of
from emulator.resources.deployments import asking
from emulator.resources.deployments.instances import FAILED, RUNNING, Found, Seen, forget, look
from emulator.resources.deployments.tables import Deployment
from emulator.resources.jobs.tables import Job
from emulator.resources.publications import service as publications
from emulator.resources.publications.tables import Publication
from emulator.resources.users.tables import User
from emulator.service import Service
from emulator.storage import stamp
from scanner.errors import NotFound, UserError
from scanner.host import chance

if TYPE_CHECKING:
    from builders.clouds.base import Cloud, Request, Resources

PATIENCE = 20.0
SUMMARIES = {True: "ScanSummaryLight", False: "ApplianceSummary"}
KEY = re.compile(r"(ssh-|ecdsa-|sk-)\S+ [A-Za-z0-9+/=]+( .*)?")


def cloud(here: Service, user: User, publication: Publication) -> Cloud:
    """The cloud that the publication is in. Raises `Conflict`."""
    return cloud_of(here, publications.account_row(here, user, publication), publication.asked, ANSWER)


def resources(here: Service, user: User, publication: Publication) -> Resources:
    """What an instance can be made with. Raises `Conflict`, `Unreachable`, `CloudRefused`."""
    return cloud(here, user, publication).resources()


def tell_resources(found: Resources, tenant: str) -> dict[str, Any]:
    """credAccountResources: one tenant, the publication's, which is the one that clients look for."""
    region = {
        "regionName": found.zones[0].name if found.zones else "RegionOne",
        "flavors": {"flavor": [{"id": one.id, "name": one.name} for one in found.flavors]},
        "networks": {"network": [{"id": one.id, "name": one.name} for one in found.networks]},
    }
    tenants = {"tenant": [{"name": tenant, "regionsEntities": {"regionEntities": [region]}}]}
    return {"cloudResources": {"xsiType": "OpenstackResources", "tenants": tenants}}


def begin(here: Service, user: User, found: publications.Found, request: Request) -> Found:
    """Queue the making of an instance. Raises `UserError` naming every mistake, `Conflict`."""
    publication, sent = found
    if sent.state != State.DONE:
        raise Conflict(f"publication {publication.id} cannot be deployed: it is {sent.state}", hint=f"forgelet job show {sent.id}")
    wrong(request)
    cloud(here, user, publication)
    assert user.id is not None and publication.id is not None
    with here.database.write() as session:
        # The lock first: what is sealed here is stored before the key can change (`Vault.rotate`).
        session.connection()
        arguments = {"publication": publication.id, "name": request.name, "flavor": request.flavor}
        job = ledger.create(session, user.id, "provision", "", arguments)
        made = Deployment(
            user_id=user.id,
            publication_id=publication.id,
            application=chance.identifier().hex[:12],
            name=request.name,
            asked=asking.stored(here.vault, request),
            job_id=job.id or 0,
            created=stamp.now(),
        )
        session.add(made)
        session.flush()
        job.subject = deployment_uri(user, made)
        job.arguments = {**arguments, "deployment": made.id}
    here.queue.submit()
    return made, publication, job


def wrong(request: Request, found: Resources | None = None) -> None:
    """Raises `UserError` naming every mistake; with `found` also a flavor that the cloud has not."""
    problems = [
        *([] if re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,61}[A-Za-z0-9])?", request.name) else ["name: letters, digits, dots and dashes, 63 at most: it becomes the host name"]),
        *([] if request.flavor else ["flavor: is missing"]),
        *(f"public key: '{key[:40]}' is no OpenSSH public key" for key in request.public_keys if not KEY.fullmatch(key.strip())),
        *([f"flavor: the cloud has no '{request.flavor}' (there are: {', '.join(one.name for one in found.flavors)})"] if found is not None and not _has(found, request.flavor) else []),
    ]
    if problems:
        raise UserError("the instance cannot be made so; nothing was started", hint="forgelet deploy resources --publish-id ID names the flavors", problems=problems)


def _has(found: Resources, flavor: str) -> bool:
    return not flavor or any(flavor in (one.id, one.name) for one in found.flavors)


def deployment_uri(user: User, deployment: Deployment) -> str:
    return f"users/{user.login}/deployments/{deployment.application}"


def deployments(session: Session, user: User) -> Sequence[Found]:
    """In the order in which they were asked for."""
    wanted = select(Deployment, Publication, Job).where(
        Deployment.user_id == user.id, Deployment.publication_id == Publication.id, Deployment.job_id == Job.id
    )
    return session.exec(wanted.order_by(col(Deployment.id))).all()


def find(session: Session, user: User, application: str) -> Found:
    """By its applicationId, or by our number of it. Raises `NotFound`, for other users' too."""
    for found in deployments(session, user):
        if application in (found[0].application, str(found[0].id)):
            return found
    raise NotFound(f"there is no deployment '{application}'", hint="forgelet deploy list")


def tell_all(here: Service, user: User, found: Sequence[Found]) -> list[dict[str, Any]]:
    """What lists tell."""
    return [_told(user, one, seen) for one, seen in zip(found, look(here, user, found), strict=True)]


def tell(here: Service, user: User, found: Found) -> dict[str, Any]:
    """deployment, with its one instance."""
    return tell_all(here, user, [found])[0]


def _told(user: User, found: Found, seen: Seen) -> dict[str, Any]:
    deployment, publication, job = found
    state, instance, fault = seen.state, seen.instance, seen.fault
    # Until the job is done it is what the cloud would know it by, and may be no number.
    cloud_id = deployment.cloud_id if job.state == State.DONE else ""
    uri = deployment_uri(user, deployment)
    source = {"xsiType": SUMMARIES["scannedinstances" in publication.source_uri], "name": publication.name, "uri": publication.source_uri}
    address = next(iter(instance.addresses), "") if instance else ""
    port = instance.ports.get(22) if instance else None
    machine = {
        "xsiType": "InstanceOpenStack",
        "created": deployment.created,
        "name": deployment.name,
        "hostname": f"{address}:{port}" if port else address,
        "instanceId": cloud_id,
        "creationDate": deployment.created,
        "location": {"name": "RegionOne", "provider": publication.account.get("name", "")},
        "cloudProvider": "openstack",
        "sourceSummary": source,
        "state": state,
        "stateMessage": fault,
        "flavorId": instance.flavor if instance else deployment.asked["flavor"],
        "parentUri": uri,
        "uri": f"{uri}/instances/1",
    }
    return {
        "uri": uri,
        "applicationId": deployment.application,
        "name": deployment.name,
        "creationDate": deployment.created,
        "state": state,
        "sourceSummary": source,
        "instances": {"instance": [machine]},
        "dbId": deployment.id,
        "jobId": job.id,
        "publication": publication.id,
        "account": publication.account.get("name", ""),
        "cloudId": cloud_id,
        "ports": {str(inside): outside for inside, outside in instance.ports.items()} if instance else {},
        "fault": fault,
    }


def tell_status(here: Service, user: User, found: Found) -> dict[str, Any]:
    """status, whose `message` is the state: the only thing that clients look at (PROTOCOL section 7)."""
    [seen] = look(here, user, [found])
    state, fault = seen.state, seen.fault
    failed = state == FAILED
    return {
        "cancelled": found[2].state == State.CANCELLED,
        "complete": state == RUNNING,
        "error": failed,
        "errorMessage": fault if failed else "",
        "detailedError": failed,
        "detailedErrorMsg": fault if failed else "",
        "message": state,
        "percentage": found[2].percent,
    }


def console(here: Service, user: User, found: Found) -> str:
    """Raises `Conflict` while there is no instance."""
    deployment, publication, job = found
    if not deployment.cloud_id:
        raise Conflict(f"deployment '{deployment.name}' has no instance: it is {job.state}", hint=f"forgelet job show {job.id}")
    return cloud(here, user, publication).console(deployment.cloud_id)


def terminate(here: Service, user: User, found: Found) -> None:
    """End the instance and take it away, and the deployment from the list. Raises `Conflict`, `CloudRefused`, `Unreachable`."""
    deployment, publication, job = found
    assert job.id is not None
    if job.state not in ENDED:
        here.queue.cancel(job.id)
        if not here.queue.wait(job.id, PATIENCE):
            raise Conflict(f"job {job.id} is still being stopped", hint="the same again in a moment")
    with here.database.read() as session:
        cloud_id = session.get_one(Deployment, deployment.id).cloud_id
    if cloud_id:
        # Somebody may have taken it away in the cloud itself.
        with suppress(NotFound):
            cloud(here, user, publication).terminate(cloud_id)
        forget(here, cloud_id)
    with here.database.write() as session:
        session.delete(session.get_one(Deployment, deployment.id))
