"""Make what a seed asks for. What is there already, by its name, is left alone: twice is as good as once."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlmodel import Session, col, select

from emulator.control.seeds.wanted import Seed, WantedAccount, WantedImage, WantedScan, WantedTemplate, WantedUser
from emulator.control.snapshots import trees
from emulator.errors import Conflict
from emulator.jobs import ledger
from emulator.jobs.kinds import State
from emulator.jobs.outcome import done
from emulator.resources.accounts import service as accounts
from emulator.resources.accounts.tables import CloudAccount
from emulator.resources.appliances import service as templates
from emulator.resources.appliances import transfers
from emulator.resources.images import service as images
from emulator.resources.images.tables import Image
from emulator.resources.jobs.tables import Job
from emulator.resources.quotas import service as quotas
from emulator.resources.scans import service as scans
from emulator.resources.scans.tables import Scan, ScannedInstance
from emulator.resources.users import service as users
from emulator.resources.users.tables import User
from scanner.errors import HostileInput, StepFailed, UserError

if TYPE_CHECKING:
    from emulator.service import Service

PATIENCE = 3600.0
"""Seconds that one job may take."""
Step = tuple[str, Callable[[], bool]]
"""What it makes in words, and the deed: whether there was anything to do."""


def steps(here: Service, seed: Seed, base: Path) -> Iterator[Step]:
    """In the order in which they must be done."""
    for user in seed.users:
        yield f"user {user.login}", lambda one=user: _user(here, one)  # type: ignore[misc]
    for account in seed.accounts:
        yield f"account {account.name}", lambda one=account: _account(here, one)  # type: ignore[misc]
    for scan in seed.scans:
        yield f"scan {scan.name}", lambda one=scan: _scan(here, one, base)  # type: ignore[misc]
    for template in seed.templates:
        yield f"template {template.name} {template.version}", lambda one=template: _template(here, one, base)  # type: ignore[misc]
    for image in seed.images:
        yield f"image of {image.scan} by {image.spec}", lambda one=image: _image(here, one, base)  # type: ignore[misc]


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


def _scan(here: Service, wanted: WantedScan, base: Path) -> bool:
    user = _find(here, wanted.user)
    with here.database.read() as session:
        if _last_scan(session, user, wanted.name) is not None:
            return False
    if wanted.report:
        _record(here, user, wanted, base / wanted.report)
    else:
        _scan_made, job = scans.begin(here, user, wanted.name, wanted.source, wanted.overlay, wanted.exclude)
        _wait(here, job)
    return True


def _last_scan(session: Session, user: User, name: str) -> Scan | None:
    """The newest scan of the group that is done."""
    asked = select(Scan).join(ScannedInstance, col(ScannedInstance.id) == Scan.instance_id).join(Job, col(Job.id) == Scan.job_id)
    mine = asked.where(ScannedInstance.user_id == user.id, ScannedInstance.name == name, Job.state == State.DONE)
    return session.exec(mine.order_by(col(Scan.id).desc())).first()


def _record(here: Service, user: User, wanted: WantedScan, folder: Path) -> None:
    """A report that was recorded becomes a scan that is done."""
    from scanner.report import Report

    try:
        report = Report(folder)
        for _ in report.files():
            pass
    except (OSError, ValueError) as error:
        raise HostileInput(f"{folder} holds no whole report: {str(error).splitlines()[0]}", hint="the folder of a scan: head.json, files.ndjson.zst") from error
    quotas.fits(here.folders, here.database, user, folder)
    with here.database.write() as session:
        quotas.claim(session, user, "scan")
        scans.check_mix(session, user, wanted.name, report.head.overlay)
        scan, job = scans.add(session, user, wanted.name, report.head.target, report.head.overlay, list(report.head.excludes))
        assert scan.id is not None
        instance = session.get_one(ScannedInstance, scan.instance_id)
        system = report.head.system
        instance.distribution, instance.version, instance.arch = system.distribution or instance.distribution, system.version, system.arch
        spots = len(report.head.blind_spots)
        ledger.close(session, job, done("Recorded", exit_code=2 if spots else 0))
        trees.copy(folder, here.folders.scan(scan.id))


def _template(here: Service, wanted: WantedTemplate, base: Path) -> bool:
    user = _find(here, wanted.user)
    assert user.id is not None
    with here.database.read() as session:
        if templates.named(session, user.id, wanted.name, wanted.version) is not None:
            return False
        scan = _last_scan(session, user, wanted.scan) if wanted.scan else None
    if scan is not None:
        assert scan.id is not None
        _wait(here, transfers.begin_scan_import(here, user, scan.instance_id, scan.id, wanted.name, wanted.version)[2])
        return True
    place = transfers.open_import(here, user, imported=False, force=False, reuse_bundles=False, use_major=False)
    assert place.id is not None
    shutil.copyfile(base / wanted.archive, here.folders.upload(place.id))
    _wait(here, transfers.begin_import(here, user, place.id))
    with here.database.read() as session:
        if templates.named(session, user.id, wanted.name, wanted.version) is None:
            raise Conflict(f"{wanted.archive} is another template than '{wanted.name}' {wanted.version}", hint="the seed's name and version must be the archive's")
    return True


def _image(here: Service, wanted: WantedImage, base: Path) -> bool:
    user = _find(here, wanted.user)
    with here.database.read() as session:
        scan = _last_scan(session, user, wanted.scan)
        if scan is None:
            raise UserError(f"there is no scan '{wanted.scan}' that is done", hint="forgelet scan list")
        there = session.exec(select(Image.id).join(Job, col(Job.id) == Image.job_id).where(Image.scan_id == scan.id, Job.state == State.DONE)).first()
    if there is not None:
        return False
    assert scan.id is not None
    path = base / wanted.spec
    for found in images.begin(here, user, scan.instance_id, scan.id, path.name, path.read_text(encoding="utf-8")):
        _wait(here, found[2])
    return True


def _wait(here: Service, job: Any) -> None:
    if not here.queue.wait(job.id, PATIENCE):
        raise StepFailed(f"job {job.id} did not end within {PATIENCE:.0f} s", hint=f"forgelet job show {job.id}")
    ended = here.ledger.get(job.id)
    if ended.state != State.DONE:
        raise StepFailed(ended.error or f"job {job.id} was {ended.state}", hint=ended.hint or f"forgelet job log {job.id}")
