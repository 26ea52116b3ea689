"""Make what a seed asks for. What is there already, by its name, is left alone: twice is as good as once."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlmodel import Session, col, select

from emulator.control.seeds.wanted import Seed, WantedAccount, WantedImage, WantedScan, WantedTemplate, WantedUser
from emulator.errors import Conflict
from emulator.jobs.kinds import State
from emulator.resources.accounts import service as accounts
from emulator.resources.accounts.tables import CloudAccount
from emulator.resources.appliances import service as templates
from emulator.resources.appliances import transfers
from emulator.resources.images import service as images
from emulator.resources.images.tables import Image
from emulator.resources.jobs.tables import Job
from emulator.resources.quotas import service as quotas
from emulator.resources.scans import service as scans
from emulator.resources.scans.recorded import record
from emulator.resources.scans.tables import Scan, ScannedInstance
from emulator.resources.users import service as users
from emulator.resources.users.tables import User
from scanner.errors import StepFailed, UserError
from scanner.host import clock

if TYPE_CHECKING:
    from emulator.service import Service

PATIENCE = 3600.0
"""Seconds that one job may take."""
LISTENING = 0.05
"""Seconds between two looks whether the seed is still wanted."""
Wait = Callable[[Any], None]
"""Until a job is over. Raises what it says of its failure."""
Step = tuple[str, Callable[[], bool]]
"""What it makes in words, and the deed: whether there was anything to do."""


def steps(here: Service, seed: Seed, base: Path, check: Callable[[], None]) -> Iterator[Step]:
    """In the order in which they must be done. What waits hears `check`, which raises when nobody wants the seed any more."""
    wait = partial(_wait, here, check)
    for user in seed.users:
        yield f"user {user.login}", lambda one=user: _user(here, one)  # type: ignore[misc]
    for account in seed.accounts:
        yield f"account {account.name}", lambda one=account: _account(here, one)  # type: ignore[misc]
    for scan in seed.scans:
        yield f"scan {scan.name}", lambda one=scan: _scan(here, one, base, wait)  # type: ignore[misc]
    for template in seed.templates:
        yield f"template {template.name} {template.version}", lambda one=template: _template(here, one, base, wait)  # type: ignore[misc]
    for image in seed.images:
        yield f"image of {image.scan} by {image.spec}", lambda one=image: _image(here, one, base, wait)  # type: ignore[misc]


def _find(here: Service, login: str) -> User:
    # Of the service's first user a seed says `root`, whatever he is called.
    with here.database.read() as session:
        return users.find(session, here.settings.user if login == "root" else login)


def _user(here: Service, wanted: WantedUser) -> bool:
    with here.database.read() as session:
        there = session.exec(select(User).where(User.login == wanted.login)).first()
    made = there or users.create(here, wanted.login, wanted.password.get_secret_value(), admin=wanted.admin, email=wanted.email)
    for kind, most in wanted.quotas.items():
        quotas.allow(here.database, made, kind, most)
    return there is None


def _account(here: Service, wanted: WantedAccount) -> bool:
    user = _find(here, wanted.user)
    with here.database.read() as session:
        if session.exec(select(CloudAccount.id).where(CloudAccount.user_id == user.id, CloudAccount.name == wanted.name)).first() is not None:
            return False
    accounts.create(here, user, {**(wanted.model_extra or {}), "name": wanted.name, "targetPlatform": {"name": wanted.type}})
    return True


def _scan(here: Service, wanted: WantedScan, base: Path, wait: Wait) -> bool:
    user = _find(here, wanted.user)
    with here.database.read() as session:
        if _last_scan(session, user, wanted.name) is not None:
            return False
    if wanted.report:
        record(here, user, wanted.name, base / wanted.report)
    else:
        _scan_made, job = scans.begin(here, user, wanted.name, wanted.source, wanted.overlay, wanted.exclude)
        wait(job)
    return True


def _last_scan(session: Session, user: User, name: str) -> Scan | None:
    """The newest scan of the group that is done."""
    asked = select(Scan).join(ScannedInstance, col(ScannedInstance.id) == Scan.instance_id).join(Job, col(Job.id) == Scan.job_id)
    mine = asked.where(ScannedInstance.user_id == user.id, ScannedInstance.name == name, Job.state == State.DONE)
    return session.exec(mine.order_by(col(Scan.id).desc())).first()


def _template(here: Service, wanted: WantedTemplate, base: Path, wait: Wait) -> bool:
    user = _find(here, wanted.user)
    assert user.id is not None
    with here.database.read() as session:
        if templates.named(session, user.id, wanted.name, wanted.version) is not None:
            return False
        scan = _last_scan(session, user, wanted.scan) if wanted.scan else None
    if scan is not None:
        assert scan.id is not None
        wait(transfers.begin_scan_import(here, user, scan.instance_id, scan.id, wanted.name, wanted.version)[2])
        return True
    place = transfers.open_import(here, user, imported=False, force=False, reuse_bundles=False, use_major=False)
    assert place.id is not None
    shutil.copyfile(base / wanted.archive, here.folders.upload(place.id))
    wait(transfers.begin_import(here, user, place.id))
    with here.database.read() as session:
        if templates.named(session, user.id, wanted.name, wanted.version) is None:
            raise Conflict(f"{wanted.archive} is another template than '{wanted.name}' {wanted.version}", hint="the seed's name and version must be the archive's")
    return True


def _image(here: Service, wanted: WantedImage, base: Path, wait: Wait) -> bool:
    user = _find(here, wanted.user)
    with here.database.read() as session:
        scan = _last_scan(session, user, wanted.scan)
        if scan is None:
            raise UserError(f"there is no scan '{wanted.scan}' that is done", hint="forgelet scan list")
        there = session.exec(select(Image.spec).join(Job, col(Job.id) == Image.job_id).where(Image.scan_id == scan.id, Job.state == State.DONE)).all()
    assert scan.id is not None
    path = base / wanted.spec
    text = path.read_text(encoding="utf-8")
    made = [_asked(spec) for spec in there]
    if all(_asked(asdict(spec)) in made for spec in here.rooms.specs(text, path.name)):
        return False
    for found in images.begin(here, user, scan.instance_id, scan.id, path.name, text):
        wait(found[2])
    return True


def _asked(spec: Mapping[Any, Any]) -> str:
    """What a builder asks for, wherever in its file it stands."""
    return json.dumps({key: value for key, value in spec.items() if key != "line"}, sort_keys=True)


def _wait(here: Service, check: Callable[[], None], job: Any) -> None:
    deadline = clock.monotonic() + PATIENCE
    while not here.queue.wait(job.id, LISTENING):
        check()
        if clock.monotonic() < deadline:
            continue
        raise StepFailed(f"job {job.id} did not end within {PATIENCE:.0f} s", hint=f"forgelet job show {job.id}")
    ended = here.ledger.get(job.id)
    if ended.state != State.DONE:
        raise StepFailed(ended.error or f"job {job.id} was {ended.state}", hint=ended.hint or f"forgelet job log {job.id}")
