"""Machine images: plan the builds of a builder file, find, tell, delete."""

from __future__ import annotations

import dataclasses
import hmac
import json
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from sqlmodel import Session, col, func, select

from emulator.errors import Conflict
from emulator.folders import Folders
from emulator.jobs import ledger
from emulator.jobs.kinds import State
from emulator.resources.appliances.tables import Appliance
from emulator.resources.formats.catalogue import image_format
from emulator.resources.images.asked import profile_of, spec_of
from emulator.resources.images.tables import Image
from emulator.resources.jobs.tables import Job
from emulator.resources.quotas import service as quotas
from emulator.resources.remembered import Remembered
from emulator.resources.scans import service as scans
from emulator.resources.scans.tables import Scan
from emulator.resources.status import JOB_HEAD, op_status
from emulator.resources.users.tables import User
from emulator.service import Service
from emulator.storage import stamp
from emulator.storage.narrow import narrow, stored
from emulator.wire.download import Download, hashed
from emulator.wire.shared import Shared
from scanner.errors import NotFound, UserError

if TYPE_CHECKING:
    from builders.rehearsal import Rehearsal
    from builders.spec import BuilderSpec

Source = Scan | Appliance
"""What an image was made from."""

Found = tuple[Image, Source, Job]
IMAGE, JOB = narrow(Image, "spec"), narrow(Job, "problems", "hint")
SCAN, APPLIANCE = narrow(Scan, "exclude"), narrow(Appliance)
"""What lists tell."""
HEAD = (*stored(Image), *JOB_HEAD, *stored(Scan, "instance_id"), *stored(Appliance, "version"))
"""What lists tell of an image changes with these, and with the record of its build."""
_told = Remembered()


def source_uri(user: User, source: Source) -> str:
    """Of the scan or the template that an image was made from; lists have them as narrow rows, which are of no class."""
    instance = getattr(source, "instance_id", None)
    return f"users/{user.login}/appliances/{source.id}" if instance is None else f"users/{user.login}/scannedinstances/{instance}/scans/{source.id}"


def image_uri(user: User, source: Source, image: Image) -> str:
    return f"{source_uri(user, source)}/images/{image.id}"


def find(session: Session, user: User, image_id: int, scan_id: int | None = None, appliance_id: int | None = None) -> Found:
    """Raises `NotFound`, for other users' images too."""
    image = session.get(Image, image_id)
    if image is None or image.user_id != user.id or scan_id not in (None, image.scan_id) or appliance_id not in (None, image.appliance_id):
        raise NotFound(f"there is no image {image_id}", hint="forgelet image list")
    source: Source = session.get_one(Scan, image.scan_id) if image.scan_id is not None else session.get_one(Appliance, image.appliance_id)
    return image, source, session.get_one(Job, image.job_id)


def tell_all(session: Session, folders: Folders, user: User, scan_id: int | None = None, appliance_id: int | None = None) -> list[Shared]:
    """What lists tell, in the order in which they were asked for, without the long parts of the build's record (`DETAILS`), which the single
    image has; of one scan or one template when it is named."""
    wanted = select(*HEAD).select_from(Image).join(Job, Image.job_id == Job.id).outerjoin(Scan, Image.scan_id == Scan.id)
    wanted = wanted.outerjoin(Appliance, Image.appliance_id == Appliance.id).where(Image.user_id == user.id).order_by(col(Image.id))
    if scan_id is not None:
        wanted = wanted.where(Image.scan_id == scan_id)
    if appliance_id is not None:
        wanted = wanted.where(Image.appliance_id == appliance_id)
    heads = [(*head, _record(folders, head[0])) for head in session.connection().execute(wanted)]

    def tell_these(numbers: Sequence[int]) -> Iterator[tuple[int, dict[str, Any]]]:
        for found in _these(session, numbers):
            yield found[0].id or 0, {key: value for key, value in tell(folders, user, found).items() if key not in DETAILS}

    return _told.told(user.login, heads, tell_these)


def _these(session: Session, numbers: Sequence[int]) -> Sequence[Found]:
    wanted = (col(Image.id).in_(numbers), Image.job_id == Job.id)
    found: list[Found] = []
    found += session.exec(select(IMAGE, SCAN, JOB).where(*wanted, Image.scan_id == Scan.id)).all()
    found += session.exec(select(IMAGE, APPLIANCE, JOB).where(*wanted, Image.appliance_id == Appliance.id)).all()
    return found


def _record(folders: Folders, image_id: int) -> tuple[int, ...]:
    """What changes with the build's record."""
    try:
        now = os.stat(f"{folders.images}/{image_id}/image.json")  # noqa: PTH116  # a Path takes longer than the look at the file
    except OSError:
        return ()
    return now.st_ino, now.st_mtime_ns, now.st_size


def tell(folders: Folders, user: User, found: Found) -> dict[str, Any]:
    """image; what the build left behind (`files`, `bootCommand` and so on) is ours."""
    image, source, job = found
    assert image.id is not None
    made_from = source_uri(user, source)
    uri = f"{made_from}/images/{image.id}"
    told = {
        "created": image.created,
        "dbId": image.id,
        "name": image.name,
        "version": getattr(source, "version", ""),
        "revision": image.revision,
        "parentUri": made_from,
        "uri": uri,
        "statusUri": f"{uri}/status",
        "downloadUri": f"downloads/{image.id}/{image.download_key}",
        "status": op_status(job),
        "targetFormat": image_format(image.type).tell(),
        "installProfile": {**image.profile, "diskSize": image.disk_size, "memorySize": image.memory},
        "conditions": job.arguments.get("conditions", []),
        "simulated": bool(job.arguments.get("simulated")),
        # hammr downloads nothing else, and every disk here can be downloaded as it is.
        "compress": True,
        # hammr lists, deletes and cancels by these, finished or not.
        "size": 0,
        "fileSize": 0,
        "jobId": job.id,
    }
    return {**told, **_made(folders, image.id)} if job.state == State.DONE else told


def made(folders: Folders, image_id: int) -> dict[str, Any]:
    """The build's own record, `image.json`. Raises `Conflict` when there is none."""
    try:
        record = json.loads((folders.image(image_id) / "image.json").read_bytes())
    except FileNotFoundError as error:
        raise Conflict(f"image {image_id} is not finished", hint=f"forgelet image show --id {image_id}") from error
    assert isinstance(record, dict)
    return record


def unlocked(here: Service, image_id: int, key: str) -> Image:
    """The image whose secret `key` is. Raises `NotFound`, the same for a wrong secret as for no such image."""
    with here.database.read() as session:
        image = session.get(Image, image_id)
    if image is None or not hmac.compare_digest(key.encode("utf-8", "surrogatepass"), image.download_key.encode()):
        raise NotFound("there is no such download", hint="image/downloadUri names it")
    return image


def disk(folders: Folders, image: Image, format: str | None = None) -> Download:
    """One of the files that the image was built as, the first when no format is named. Raises `Conflict`, `NotFound`."""
    assert image.id is not None
    files = made(folders, image.id)["files"]
    for one in files:
        if format in (None, one["format"]):
            return hashed(folders.image(image.id) / one["name"], one["name"], "sha256", one["sha256"])
    raise NotFound(f"image {image.id} has no {format or ''} disk", hint="formats: " + ", ".join(one["format"] for one in files))


DETAILS = frozenset({"additions", "provenance"})
def _made(folders: Folders, image_id: int) -> dict[str, Any]:
    from builders.image import Image as Made

    try:
        record = made(folders, image_id)
    except Conflict:
        return {}
    size = sum(one["size"] for one in record["files"])
    return {
        "size": size,
        "fileSize": size,
        "fileName": record["files"][0]["name"] if record["files"] else None,
        "sha256sum": record["files"][0]["sha256"] if record["files"] else None,
        "folder": str(folders.image(image_id)),
        "bootCommand": Made.model_validate(record).boot_line(folders.image(image_id)),
        **{_camel(key): value for key, value in record.items()},
    }


def _camel(key: str) -> str:
    first, *rest = key.split("_")
    return first + "".join(word.title() for word in rest)


def begin(here: Service, user: User, instance_id: int, scan_id: int, file_name: str, text: str, *, offline: bool = False, told: Sequence[Rehearsal] | None = None) -> list[Found]:
    """Check the builder file against the scan, then queue one build per builder. Raises `SpecError`, `Conflict`; then nothing was started.
    `told`: what its rehearsal said, when there was one already."""
    with here.database.read() as session:
        _, scan, job = scans.find_scan(session, user, instance_id, scan_id)
    specs = _specs(here, scan_id, file_name, text, scanned=job.state == State.DONE, offline=offline)
    _built_from(scan, job)
    told = told if told is not None else _rehearsed(here, scan_id, specs, file_name)
    quotas.room(here, user)
    with here.database.write() as session:
        quotas.claim(session, user, "generation", len(specs))
        found = [add(session, user, scan, spec, {}, conditions=conditions(one)) for spec, one in zip(specs, told, strict=True)]
    here.queue.submit()
    return found


def begin_asked(here: Service, user: User, instance_id: int, scan_id: int, asked: dict[str, Any]) -> Found:
    """As `begin`, for what hammr asks for: one image. Raises `UserError`, `Conflict`; then nothing was started."""
    with here.database.read() as session:
        _, scan, job = scans.find_scan(session, user, instance_id, scan_id)
    if asked.get("simulated"):
        raise UserError("the build of a scan cannot be simulated", hint="forgelet scan rehearse says what it would meet")
    spec = spec_of(asked)
    _built_from(scan, job)
    told = _rehearsed(here, scan_id, [spec], "image")
    quotas.room(here, user)
    with here.database.write() as session:
        quotas.claim(session, user, "generation")
        found = add(session, user, scan, spec, profile_of(asked), conditions=conditions(told[0]))
    here.queue.submit()
    return found


def rehearse(here: Service, user: User, instance_id: int, scan_id: int, file_name: str, text: str, *, offline: bool = False) -> list[Rehearsal]:
    """What a build of the scan by each builder of the file would meet. Raises `SpecError`, `Conflict`."""
    with here.database.read() as session:
        _, scan, job = scans.find_scan(session, user, instance_id, scan_id)
    specs = cut_off(here.rooms.specs(text, file_name), offline)
    _built_from(scan, job)
    return _rehearse(here, scan_id, specs)


def _built_from(scan: Scan, job: Job) -> None:
    if job.state != State.DONE:
        raise Conflict(f"'{scan.name}' cannot be built: it is {job.state}", hint=f"forgelet job show {job.id}")


def _rehearse(here: Service, scan_id: int, specs: Sequence[BuilderSpec]) -> list[Rehearsal]:
    from scanner.report import Report

    return here.rooms.platform("openstack").rehearse(Report(here.folders.scan(scan_id)), specs, here.folders.cache)


def _rehearsed(here: Service, scan_id: int, specs: Sequence[BuilderSpec], file_name: str) -> list[Rehearsal]:
    """As `_rehearse`. Raises `Blocked`, `SpecError`, `Unreachable` when one of them is blocked."""
    from builders.rehearsal import refuse

    told = _rehearse(here, scan_id, specs)
    refuse(told, file_name)
    return told


def conditions(rehearsal: Rehearsal) -> list[str]:
    """What the build goes ahead with all the same, one line each."""
    from builders.rehearsal import Weight

    return [point.problem for point in rehearsal.of(Weight.CONDITION)]


def cut_off(specs: Sequence[BuilderSpec], offline: bool) -> list[BuilderSpec]:
    """The same builders, which may fetch nothing where that is asked for."""
    return [dataclasses.replace(one, offline=offline) for one in specs]


def _specs(here: Service, scan_id: int, file_name: str, text: str, *, scanned: bool, offline: bool) -> list[BuilderSpec]:
    """The builders of the file. Raises `SpecError`, which names what does not fit the scan along with what is wrong in itself."""
    from builders.errors import SpecError
    from builders.spec import refused

    try:
        return cut_off(here.rooms.specs(text, file_name), offline)
    except SpecError as wrong:
        try:
            if scanned and wrong.specs:
                _rehearsed(here, scan_id, cut_off(wrong.specs, offline), file_name)
        except UserError as more:
            raise refused(file_name, [*wrong.problems, *more.problems]) from wrong
        raise


def add(session: Session, user: User, source: Source, spec: BuilderSpec, profile: dict[str, Any], *, simulated: bool = False, conditions: Sequence[str] = ()) -> Found:
    """A new image of `source` and its queued job, in the caller's transaction; `conditions`: what its rehearsal said."""
    assert user.id is not None
    asked = dataclasses.asdict(spec)
    scanned = isinstance(source, Scan)
    kind, mine = ("scan", Image.scan_id) if scanned else ("appliance", Image.appliance_id)
    last = session.exec(select(func.max(Image.revision)).where(mine == source.id, Image.type == spec.type)).one() or 0
    job = ledger.create(session, user.id, "build", "", {})
    assert job.id is not None
    image = Image(
        user_id=user.id,
        scan_id=source.id if scanned else None,
        appliance_id=None if scanned else source.id,
        name=str(spec.publishing.get("imageName") or source.name),
        type=spec.type,
        disk_size=spec.disk_size,
        memory=spec.memory,
        spec=asked,
        profile=profile,
        revision=last + 1,
        job_id=job.id,
        created=stamp.now(),
    )
    session.add(image)
    session.flush()
    job.subject = image_uri(user, source, image)
    job.arguments = {"image": image.id, kind: source.id, "spec": asked, **({"simulated": True} if simulated else {}), "conditions": list(conditions)}
    return image, source, job


def remove(here: Service, found: Found) -> None:
    """Take the image away with everything of it; its jobs are cancelled first. Raises `Conflict`."""
    image, _, _ = found
    assert image.id is not None
    for job in unfinished(here, image.id):
        assert job.id is not None
        here.queue.cancel(job.id)
        if not here.queue.wait(job.id, scans.PATIENCE):
            raise Conflict(f"job {job.id} of image {image.id} is still being stopped", hint=f"forgelet job show {job.id}, then again")
    with here.database.write() as session:
        session.delete(session.get_one(Image, image.id))
    here.folders.discard(here.folders.image(image.id))


def unfinished(here: Service, image_id: int) -> list[Job]:
    """Builds and verifications of the image that are queued or running."""
    return [job for job in here.ledger.jobs(State.QUEUED, State.RUNNING) if job.arguments.get("image") == image_id]


def cancel(here: Service, found: Found) -> None:
    """Stop whatever is being done for the image."""
    assert found[0].id is not None
    for job in unfinished(here, found[0].id):
        assert job.id is not None
        here.queue.cancel(job.id)
