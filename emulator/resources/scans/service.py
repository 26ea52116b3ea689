"""Scanned instances and scans: find, make, delete, and tell them under UForge's names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlmodel import Session, col, func, select

from emulator.errors import Conflict
from emulator.jobs import ledger
from emulator.jobs.kinds import State
from emulator.jobs.outcome import failed
from emulator.resources.distributions.names import tell_distribution
from emulator.resources.images.tables import Image
from emulator.resources.jobs.tables import Job
from emulator.resources.quotas import service as quotas
from emulator.resources.remembered import Remembered
from emulator.resources.scans.tables import Scan, ScannedInstance
from emulator.resources.status import JOB_HEAD, op_status
from emulator.resources.users.tables import User
from emulator.service import Service
from emulator.storage import stamp
from emulator.storage.narrow import narrow, stored
from scanner.errors import ForgeletError, NotFound, UserError
from scanner.targets import opened
from scanner.targets.access import Access

NAME_LENGTH = 100
JOB = narrow(Job, "arguments", "problems", "hint")
"""What lists tell of a job."""
HEAD = (*stored(Scan, "id", "instance_id"), *stored(Scan), *JOB_HEAD)
"""What lists tell of a scan changes with these: its number and its group's come first."""
_told = Remembered()
PATIENCE = 15.0
"""Seconds that a delete waits for the job that it cancels."""


def instance_uri(user: User, instance: ScannedInstance) -> str:
    return f"users/{user.login}/scannedinstances/{instance.id}"


def scan_uri(user: User, scan: Scan) -> str:
    return f"users/{user.login}/scannedinstances/{scan.instance_id}/scans/{scan.id}"


def tell_instance(user: User, instance: ScannedInstance, scans: Sequence[dict[str, Any]] | None) -> dict[str, Any]:
    """scannedInstance; `scans`, as they are told, None leaves them out."""
    told: dict[str, Any] = {
        "created": instance.created,
        "dbId": instance.id,
        "distribution": tell_distribution(instance.distribution, instance.version, instance.arch),
        "name": instance.name,
        "overlayIncluded": instance.overlay,
        "uri": instance_uri(user, instance),
    }
    if scans is not None:
        told["scans"] = {"scan": list(scans)}
    return told


def tell_scan(user: User, scan: Scan, job: Job) -> dict[str, Any]:
    """scan; `jobId`, `target`, `exclude` and `exitCode` are ours."""
    group = f"users/{user.login}/scannedinstances/{scan.instance_id}"
    return {
        "created": scan.created,
        "dbId": scan.id,
        "name": scan.name,
        "scannedInstanceUri": group,
        "status": op_status(job),
        "uri": f"{group}/scans/{scan.id}",
        "jobId": job.id,
        "target": stamp.printable(scan.target),
        "exclude": scan.exclude,
        "exitCode": job.exit_code,
    }


def instances(session: Session, user: User, name: str | None = None) -> list[tuple[ScannedInstance, list[tuple[Scan, Job]]]]:
    """Groups and their scans, in the order in which they were made. Two queries, however many there are; of scans and jobs only to be read."""
    found = groups(session, user, name)
    of_user = (Scan.job_id == Job.id, Scan.instance_id == ScannedInstance.id, ScannedInstance.user_id == user.id)
    wanted = select(narrow(Scan), JOB).where(*of_user).order_by(col(Scan.id))
    if name is not None:
        wanted = wanted.where(ScannedInstance.name == name)
    members: dict[int | None, list[tuple[Scan, Job]]] = {instance.id: [] for instance in found}
    for scan, job in session.exec(wanted).all():
        members[scan.instance_id].append((scan, job))
    return [(instance, members[instance.id]) for instance in found]


def tell_all(session: Session, user: User, name: str | None = None, *, with_scans: bool = True) -> list[dict[str, Any]]:
    """What lists tell of the groups, with their scans or with none; of one group when it is named."""
    found = groups(session, user, name)
    members: dict[int | None, list[dict[str, Any]]] = {instance.id: [] for instance in found}
    if with_scans:
        of_user = (Scan.job_id == Job.id, Scan.instance_id == ScannedInstance.id, ScannedInstance.user_id == user.id)
        wanted = select(*HEAD).where(*of_user).order_by(col(Scan.id))
        heads = session.connection().execute(wanted if name is None else wanted.where(ScannedInstance.name == name)).all()

        def tell_these(numbers: Sequence[int]) -> Iterator[tuple[int, dict[str, Any]]]:
            for scan, job in session.exec(select(narrow(Scan), JOB).where(col(Scan.id).in_(numbers), Scan.job_id == Job.id)):
                yield scan.id or 0, tell_scan(user, scan, job)

        for head, told in zip(heads, _told.told(user.login, heads, tell_these), strict=True):
            members[head[1]].append(told)
    return [tell_instance(user, instance, members[instance.id]) for instance in found]


def groups(session: Session, user: User, name: str | None = None) -> Sequence[ScannedInstance]:
    """In the order in which they were made."""
    wanted = select(ScannedInstance).where(ScannedInstance.user_id == user.id).order_by(col(ScannedInstance.id))
    return session.exec(wanted if name is None else wanted.where(ScannedInstance.name == name)).all()


def scans_of(session: Session, instance: ScannedInstance) -> list[tuple[Scan, Job]]:
    wanted = select(Scan, Job).where(Scan.instance_id == instance.id, Scan.job_id == Job.id).order_by(col(Scan.id))
    return list(session.exec(wanted).all())


def binding(members: Sequence[tuple[Scan, Job]]) -> list[Scan]:
    """The scans that make a group one with or without overlay: not those that never came to a report."""
    return [scan for scan, job in members if job.state not in (State.FAILED, State.CANCELLED)]


def find_instance(session: Session, user: User, instance_id: int) -> ScannedInstance:
    """Raises `NotFound`, for other users' groups too."""
    found = session.get(ScannedInstance, instance_id)
    if found is None or found.user_id != user.id:
        raise NotFound(f"there is no scanned instance {instance_id}", hint="forgelet scan list")
    return found


def find_scan(session: Session, user: User, instance_id: int, scan_id: int) -> tuple[ScannedInstance, Scan, Job]:
    """Raises `NotFound`."""
    found = session.get(Scan, scan_id)
    if found is None or found.instance_id != instance_id:
        raise NotFound(f"there is no scan {scan_id}", hint="forgelet scan list")
    return find_instance(session, user, instance_id), found, session.get_one(Job, found.job_id)


def check_name(name: str) -> list[str]:
    """What is wrong with the name of a group."""
    if not name.strip():
        return ["name: a scan needs a name"]
    problems = []
    if len(name) > NAME_LENGTH:
        problems.append(f"name: longer than {NAME_LENGTH} characters")
    if name != name.strip() or not name.isprintable() or any(c in "/'\"" for c in name):
        problems.append("name: printable characters only, without slashes, quotes and outer blanks")
    return problems


def check_exclude(exclude: Sequence[str]) -> list[str]:
    """What is wrong with the excludes."""
    return [f"exclude: '{path}' is not an absolute path" for path in exclude if not path.startswith("/") or "\0" in path]


def check_mix(session: Session, user: User, name: str, overlay: bool) -> None:
    """A group is either all overlay or all simple. Raises `Conflict`."""
    for instance, scans in instances(session, user, name):
        if instance.overlay != overlay and binding(scans):
            has, asked = ("with overlay", "a simple one") if instance.overlay else ("simple", "one with overlay")
            way = "add --overlay" if instance.overlay else "leave --overlay away"
            raise Conflict(
                f"the scans of '{name}' are {has}: {asked} cannot be added to them",
                hint=f"give another --name, or {way}, or delete them: forgelet scan delete --id {instance.id} --scantype instance",
            )


def begin(
    here: Service,
    user: User,
    name: str,
    target: str,
    overlay: bool,
    exclude: list[str],
    *,
    redact: bool = False,
    volumes: bool = False,
    whole: bool = False,
    fresh: bool = False,
    access: Access | None = None,
) -> tuple[Scan, Job]:
    """Check everything, then queue the scan. Raises `UserError`, `Conflict`, `NotFound`, `Unreachable`; then nothing was started."""
    problems = [*check_name(name), *check_exclude(exclude)]
    if redact and not overlay:
        problems.append("redact: a scan without overlay brings no contents home, so there is nothing to redact")
    if whole and not overlay:
        problems.append("whole: a scan without overlay brings no contents home, those of packages neither")
    if volumes and not target.startswith("docker:"):
        problems.append("volumes: only a container has them")
    if problems:
        raise UserError("the scan cannot be run as asked", problems=problems)
    quotas.room(here, user)
    with here.database.read() as session:
        check_mix(session, user, name, overlay)
        quotas.claim(session, user, "scan")
    with opened(here.rooms.target(target, access)) as found:
        found.facts()
        label = found.label
    with here.database.write() as session:
        check_mix(session, user, name, overlay)
        quotas.claim(session, user, "scan")
        scan, job = add(session, user, name, label, overlay, exclude)
        job.arguments = {**job.arguments, "redact": redact, "volumes": volumes, "whole": whole, "fresh": fresh, "entrusted": access is not None}
        if access is not None and job.id is not None:
            # Before the job can be seen, and so be started, by anybody.
            here.queue.entrust(job.id, access.revealed())
    here.queue.submit()
    return scan, job


def add_failed(session: Session, user: User, name: str, target: str, error: ForgeletError) -> Scan:
    """A scan that failed before it could begin, so that whoever waits for it hears why."""
    found = instances(session, user, name)
    scan, job = add(session, user, name, target, bool(found) and found[0][0].overlay, [])
    ledger.close(session, job, failed(error))
    return scan


def add(session: Session, user: User, name: str, target: str, overlay: bool, exclude: list[str]) -> tuple[Scan, Job]:
    """A new scan with its queued job, in the caller's transaction; the group too when there is none of that name."""
    assert user.id is not None
    instance = session.exec(select(ScannedInstance).where(ScannedInstance.user_id == user.id, ScannedInstance.name == name)).first()
    if instance is None:
        instance = ScannedInstance(user_id=user.id, name=name, overlay=overlay, created=stamp.now())
    instance.overlay = overlay
    session.add(instance)
    session.flush()
    assert instance.id is not None
    number = (session.exec(select(func.max(Scan.number)).where(Scan.instance_id == instance.id)).one() or 0) + 1
    job = ledger.create(session, user.id, "scan", "", {})
    assert job.id is not None
    scan = Scan(instance_id=instance.id, number=number, name=f"{name} Scan #{number}", target=target, exclude=exclude, job_id=job.id, created=stamp.now())
    session.add(scan)
    session.flush()
    job.subject = scan_uri(user, scan)
    job.arguments = {"scan": scan.id, "instance": instance.id, "name": name, "target": target, "overlay": overlay, "exclude": exclude}
    return scan, job


def remove(here: Service, scans: Sequence[Scan], instance: ScannedInstance | None = None) -> None:
    """Take scans away, and the group when it is given: jobs are cancelled first, folders go last. Raises `Conflict`."""
    _free_of_images(here, scans)
    for scan in scans:
        here.queue.cancel(scan.job_id)
    for scan in scans:
        if not here.queue.wait(scan.job_id, PATIENCE):
            raise Conflict(f"the job of '{scan.name}' is still being stopped", hint=f"forgelet job show {scan.job_id}, then again")
    with here.database.write() as session:
        for scan in scans:
            session.delete(session.get_one(Scan, scan.id))
        session.flush()
        if instance is not None:
            session.delete(session.get_one(ScannedInstance, instance.id))
    for scan in scans:
        assert scan.id is not None
        here.folders.discard(here.folders.scan(scan.id))


def _free_of_images(here: Service, scans: Sequence[Scan]) -> None:
    with here.database.read() as session:
        for scan in scans:
            made = session.exec(select(Image).where(Image.scan_id == scan.id)).all()
            if made:
                ids = ", ".join(str(image.id) for image in made)
                raise Conflict(
                    f"images were made from '{scan.name}' and are verified against it: {ids}", hint=f"first: forgelet image delete --id {made[0].id}"
                )
