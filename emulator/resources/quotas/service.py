"""How much a user has, how much he may have, and the refusal when that is all.

appliance: his templates; scan: his scans; generation: builds that he began and that did not fail or get cancelled, since the last
reset; diskusage: bytes of his reports and images on disk.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlmodel import Session, col, func, or_, select

from emulator.errors import QuotaExceeded
from emulator.jobs.kinds import State
from emulator.resources.appliances.tables import Appliance
from emulator.resources.images.tables import Image
from emulator.resources.jobs.tables import Job
from emulator.resources.scans.tables import Scan, ScannedInstance
from emulator.resources.users.tables import Quota, User
from emulator.service import Service
from emulator.storage.engine import Database
from scanner.errors import UserError

TYPES = ("appliance", "diskusage", "generation", "scan")
"""Source: UForge's `Quota@type`."""
UNLIMITED = -1
NAMES = {"appliance": "templates", "diskusage": "bytes on disk", "generation": "generated images", "scan": "scans"}


def limit(session: Session, user: User, kind: str) -> int:
    """`UNLIMITED` unless an administrator said otherwise."""
    found = session.exec(select(Quota).where(Quota.user_id == user.id, Quota.type == kind)).first()
    return found.limit if found else UNLIMITED


def used(here: Service, session: Session, user: User, kind: str) -> int:
    """How much there is."""
    if kind == "diskusage":
        return _bytes(here, session, user)
    lost = (State.FAILED, State.CANCELLED)
    if kind == "appliance":
        failed = select(Job.id).where(col(Job.state).in_(lost))
        wanted = select(func.count(col(Appliance.id))).where(Appliance.user_id == user.id, or_(col(Appliance.job_id).is_(None), col(Appliance.job_id).not_in(failed)))
    elif kind == "scan":
        wanted = select(func.count(col(Scan.id))).where(Scan.instance_id == ScannedInstance.id, ScannedInstance.user_id == user.id)
    else:
        wanted = select(func.count(col(Job.id))).where(Job.user_id == user.id, Job.kind == "build", col(Job.state).not_in(lost))
    return int(session.exec(wanted).one())


def _bytes(here: Service, session: Session, user: User) -> int:
    scans = session.exec(select(Scan.id).where(Scan.instance_id == ScannedInstance.id, ScannedInstance.user_id == user.id)).all()
    images = session.exec(select(Image.id).where(Image.user_id == user.id)).all()
    folders = [*(here.folders.scan(number) for number in scans if number), *(here.folders.image(number) for number in images if number)]
    return sum(_size(folder) for folder in folders)


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            found = path.lstat()
        except FileNotFoundError:
            continue
        total += found.st_blocks * 512
    return total


def tell(here: Service, user: User) -> list[dict[str, Any]]:
    """quota, one of each type."""
    with here.database.read() as session:
        return [{"type": kind, "nb": used(here, session, user, kind), "limit": limit(session, user, kind), "frequency": "none"} for kind in TYPES]


def room(here: Service, user: User, *kinds: str, more: int = 1) -> None:
    """There is room for `more` of each of `kinds`, and for some bytes on disk. Raises `QuotaExceeded`."""
    with here.database.read() as session:
        for kind in (*kinds, "diskusage"):
            most = limit(session, user, kind)
            if most == UNLIMITED:
                continue
            there = used(here, session, user, kind)
            if there + (1 if kind == "diskusage" else more) > most:
                raise QuotaExceeded(
                    f"the quota of '{user.login}' is used up: {there} of {most} {NAMES[kind]}{f', and {more} more are asked for' if more > 1 else ''}",
                    hint=f"delete some, or let an administrator raise it: forgelet user quota {user.login} --type {kind} --limit NUMBER",
                )


def allow(database: Database, user: User, kind: str, most: int) -> None:
    """From now on `user` may have `most`. Raises `UserError`; 0 is refused, since the real client divides by it."""
    problems = []
    if kind not in TYPES:
        problems.append(f"type: '{kind}' is none of {', '.join(TYPES)}")
    if most != UNLIMITED and not 0 < most < 1 << 63:
        problems.append(f"limit: {most} is neither {UNLIMITED} (unlimited) nor a number from 1")
    if problems:
        raise UserError("the quota cannot be set", problems=problems)
    assert user.id is not None
    with database.write() as session:
        found = session.exec(select(Quota).where(Quota.user_id == user.id, Quota.type == kind)).first()
        if found is None:
            session.add(Quota(user_id=user.id, type=kind, limit=most))
        else:
            found.limit = most
