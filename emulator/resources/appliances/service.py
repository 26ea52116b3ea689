"""Templates: find, tell under UForge's names, clone, delete."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlmodel import Session, col, select

from emulator.errors import Conflict
from emulator.jobs.kinds import State
from emulator.resources.appliances.tables import Appliance, ApplianceExport
from emulator.resources.images.tables import Image
from emulator.resources.jobs.tables import Job
from emulator.resources.quotas import service as quotas
from emulator.resources.users.tables import User
from emulator.service import Service
from emulator.storage import stamp
from scanner.errors import NotFound, UserError

DEFAULT_DISK = 8192
"""MiB; the size that a template asks for when it says none."""


def uri(user: User, appliance: Appliance) -> str:
    return f"users/{user.login}/appliances/{appliance.id}"


def appliances(session: Session, user: User) -> Sequence[Appliance]:
    """The templates that are whole, in the order in which they were made."""
    wanted = select(Appliance, Job).join(Job, isouter=True, onclause=col(Appliance.job_id) == col(Job.id)).where(Appliance.user_id == user.id)
    rows = session.exec(wanted.order_by(col(Appliance.id))).all()
    return [appliance for appliance, job in rows if job is None or job.state == State.DONE]


def find(session: Session, user: User, appliance_id: int) -> Appliance:
    """Raises `NotFound`, for other users' templates and unfinished ones too."""
    found = session.get(Appliance, appliance_id)
    if found is not None and found.user_id == user.id:
        job = session.get(Job, found.job_id) if found.job_id is not None else None
        if job is None or job.state == State.DONE:
            return found
    raise NotFound(f"there is no template {appliance_id}", hint="forgelet template list")


def named(session: Session, user_id: int, name: str, version: str) -> Appliance | None:
    """The template of that name and version, one that is being made included."""
    wanted = select(Appliance, Job).join(Job, isouter=True, onclause=col(Appliance.job_id) == col(Job.id))
    rows = session.exec(wanted.where(Appliance.user_id == user_id, Appliance.name == name, Appliance.version == version)).all()
    return next((appliance for appliance, job in rows if job is None or job.state not in (State.FAILED, State.CANCELLED)), None)


def check_free(session: Session, user_id: int, name: str, version: str) -> None:
    """Raises `Conflict` when there is such a template."""
    there = named(session, user_id, name, version)
    if there is not None:
        raise Conflict(
            f"there is a template '{name}' of version '{version}' already ({there.id})",
            hint="give another name or version, or create it with --force, which replaces that one",
        )


def check_title(name: str, version: str) -> None:
    """Raises `UserError` for a name or version that no template can have."""
    from builders.titles import is_title, shown

    problems = [
        f"{key}: {shown(value)} is empty, too long, or has slashes, quotes or unprintable characters in it"
        for key, value in (("name", name), ("version", version))
        if not is_title(value, "/'\"")
    ]
    if problems:
        raise UserError("the template cannot be called so", problems=problems)


def tell(session: Session, user: User, appliance: Appliance) -> dict[str, Any]:
    """appliance; `stack` and `fromScan` are ours."""
    place = uri(user, appliance)
    images = session.exec(select(Image.id).where(Image.appliance_id == appliance.id).order_by(col(Image.id))).all()
    return {
        "created": appliance.created,
        "dbId": appliance.id,
        "lastModified": appliance.modified,
        "archName": appliance.arch,
        "description": appliance.description,
        "distributionName": appliance.distribution,
        "exportsUri": f"{place}/exports",
        "imageUris": {"uri": [f"{place}/images/{one}" for one in images]},
        "imported": appliance.imported,
        "installProfileUri": f"{place}/installProfile",
        "name": appliance.name,
        "nbUpdates": 0,
        "revision": 1,
        "shared": False,
        "uri": place,
        "version": appliance.version,
        "fromScan": appliance.scanned,
    }


def install_profile(user: User, appliance: Appliance) -> dict[str, Any]:
    """installProfile: what clients need to ask for a build."""
    from builders.stack import parse_document

    setup = parse_document(appliance.stack).installation
    size = setup.disk_size or DEFAULT_DISK
    return {
        "applianceUri": uri(user, appliance),
        "diskSize": size,
        "kernelParameters": " ".join(setup.kernel_parameters),
        "keyboardAuto": not setup.keyboard,
        "partitionAuto": True,
        "partitionTable": {"disks": {"disk": [{"name": "sda", "partitionType": "MSDOS", "size": size}]}},
        "swapSize": setup.swap_size,
        "timezone": setup.timezone,
        "timezoneAuto": not setup.timezone,
        "uri": f"{uri(user, appliance)}/installProfile",
        "welcomeMsg": setup.welcome,
    }


def clone(here: Service, user: User, appliance_id: int, name: str, version: str) -> Appliance:
    """The same template under another name or version; its files are shared. Raises `Conflict`, `UserError`."""
    from builders import template

    check_title(name, version)
    quotas.room(here, user)
    with here.database.write() as session:
        quotas.claim(session, user, "appliance")
        source = find(session, user, appliance_id)
        assert user.id is not None and source.id is not None
        check_free(session, user.id, name, version)
        kept = source.model_dump(exclude={"id", "job_id", "created", "modified", "name", "version", "stack"})
        document = {**source.stack, "name": name, "version": version}
        made = Appliance(**kept, name=name, version=version, stack=document, created=stamp.now(), modified=stamp.now())
        session.add(made)
        session.flush()
        assert made.id is not None
        template.copy(here.folders.template(source.id), here.folders.template(made.id))
    return made


def remove(here: Service, appliance: Appliance) -> None:
    """Take the template away with its exports. Raises `Conflict` while it has images."""
    assert appliance.id is not None
    with here.database.write() as session:
        images = session.exec(select(Image).where(Image.appliance_id == appliance.id)).all()
        if images:
            ids = ", ".join(str(image.id) for image in images)
            raise Conflict(f"images were made from '{appliance.name}': {ids}", hint=f"first: forgelet image delete --id {images[0].id}")
        exports = session.exec(select(ApplianceExport).where(ApplianceExport.appliance_id == appliance.id)).all()
        session.delete(session.get_one(Appliance, appliance.id))
    for export in exports:
        assert export.id is not None
        here.queue.cancel(export.job_id)
        here.folders.discard(here.folders.export(export.id))
    here.folders.discard(here.folders.template(appliance.id))
