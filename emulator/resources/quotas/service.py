"""How much a user has, how much he may have, and the refusal when that is all.

appliance: his templates; scan: his scans; generation: builds that he began and that did not fail or get cancelled, since the last
reset; diskusage: bytes of his reports, templates, bundles and images on disk.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sqlmodel import Session, col, func, or_, select

from emulator.errors import QuotaExceeded
from emulator.folders import Folders
from emulator.jobs.kinds import State
from emulator.resources.appliances.tables import Appliance
from emulator.resources.bundles.tables import Bundle
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


def limit(session: Session, user_id: int | None, kind: str) -> int:
    """`UNLIMITED` unless an administrator said otherwise."""
    found = session.exec(select(Quota).where(Quota.user_id == user_id, Quota.type == kind)).first()
    return found.limit if found else UNLIMITED


def used(folders: Folders, session: Session, user_id: int | None, kind: str) -> int:
    """How much there is, what is being made included."""
    return _bytes(folders, session, user_id) if kind == "diskusage" else _count(session, user_id, kind)


def _count(session: Session, user_id: int | None, kind: str) -> int:
    lost = (State.FAILED, State.CANCELLED)
    if kind == "appliance":
        failed = select(Job.id).where(col(Job.state).in_(lost))
        wanted = select(func.count(col(Appliance.id))).where(Appliance.user_id == user_id, or_(col(Appliance.job_id).is_(None), col(Appliance.job_id).not_in(failed)))
    elif kind == "scan":
        wanted = select(func.count(col(Scan.id))).where(Scan.instance_id == ScannedInstance.id, ScannedInstance.user_id == user_id)
    else:
        wanted = select(func.count(col(Job.id))).where(Job.user_id == user_id, Job.kind == "build", col(Job.state).not_in(lost))
    return int(session.exec(wanted).one())


def _bytes(folders: Folders, session: Session, user_id: int | None, *made: Path) -> int:
    scans = select(Scan.id).where(Scan.instance_id == ScannedInstance.id, ScannedInstance.user_id == user_id)
    owned: list[tuple[Callable[[int], Path], Any]] = [
        (folders.scan, scans),
        (folders.template, select(Appliance.id).where(Appliance.user_id == user_id)),
        (folders.bundle, select(Bundle.id).where(Bundle.user_id == user_id)),
        (folders.image, select(Image.id).where(Image.user_id == user_id)),
    ]
    # Templates share files with scans and bundles: each counts once.
    sizes = {inode: size for folder in made for inode, size in _sizes(folder)}
    for place, query in owned:
        for number in session.exec(query):
            sizes.update(_sizes(place(number)))
    return sum(sizes.values())


def _sizes(folder: Path) -> Iterator[tuple[tuple[int, int], int]]:
    for path in folder.rglob("*"):
        try:
            found = path.lstat()
        except FileNotFoundError:
            continue
        yield (found.st_dev, found.st_ino), found.st_blocks * 512


def tell(here: Service, user: User) -> list[dict[str, Any]]:
    """quota, one of each type."""
    with here.database.read() as session:
        return [{"type": kind, "nb": used(here.folders, session, user.id, kind), "limit": limit(session, user.id, kind), "frequency": "none"} for kind in TYPES]


def claim(session: Session, user: User, kind: str, more: int = 1) -> None:
    """There is room for `more` of what is counted; 0 asks of one that is counted already. Within the transaction that adds them, so that
    nothing is added in between. Raises `QuotaExceeded`."""
    most = limit(session, user.id, kind)
    if most == UNLIMITED:
        return
    there = _count(session, user.id, kind)
    if there + more > most:
        before = there if more else there - 1
        raise used_up(user, kind, f"{before} of {most} {NAMES[kind]}{f', and {more} more are asked for' if more > 1 else ''}")


def room(here: Service, user: User) -> None:
    """There is room for some bytes on disk. Raises `QuotaExceeded`."""
    if left(here, user) <= 0:
        fits(here.folders, here.database, user)


def left(here: Service, user: User) -> float:
    """The bytes that the user may still have on disk; without end where he is not limited."""
    with here.database.read() as session:
        most = limit(session, user.id, "diskusage")
        return math.inf if most == UNLIMITED else most - _bytes(here.folders, session, user.id)


def fits(folders: Folders, database: Database, user: User, *made: Path) -> None:
    """There is room for the folders that were made, and a byte beside them. Raises `QuotaExceeded`."""
    with database.read() as session:
        most = limit(session, user.id, "diskusage")
        there = _bytes(folders, session, user.id, *made) if most != UNLIMITED else 0
    if most != UNLIMITED and there + (not made) > most:
        raise used_up(user, "diskusage", f"{there} of {most} {NAMES['diskusage']}{' with what was made' if made else ''}")


def used_up(user: User, kind: str, told: str) -> QuotaExceeded:
    """The refusal."""
    return QuotaExceeded(
        f"the quota of '{user.login}' is used up: {told}",
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
