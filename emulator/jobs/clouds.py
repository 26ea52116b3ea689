"""The jobs that speak to clouds: send an image, make an instance of one. And what is done when such a job ended half-way."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlmodel import Session, col, select

from emulator.folders import Folders
from emulator.jobs.kinds import State
from emulator.jobs.outcome import Outcome, done
from emulator.resources.accounts.opening import opening
from emulator.resources.accounts.tables import LOCAL, CloudAccount
from emulator.resources.deployments import asking
from emulator.resources.deployments.tables import Deployment
from emulator.resources.images.tables import Image
from emulator.resources.jobs.tables import Job
from emulator.resources.publications.tables import Publication
from emulator.storage.engine import Database
from emulator.storage.vault import Vault
from scanner.errors import ForgeletError, NotFound
from scanner.host import clock

if TYPE_CHECKING:
    from builders.clouds.base import Account, Cloud, Offer
    from emulator.jobs.tasks import Assignment

log = logging.getLogger("forgelet.jobs")
PAUSES = (0.0, *(float(2**number) for number in range(10)))
"""Seconds before each attempt to take something away: for some 17 minutes, and again when the service starts."""


def publish(todo: Assignment) -> Outcome:
    """Send the image of the publication `arguments.publication`."""
    number = todo.arguments["publication"]
    todo.progress.stage("check", "Checking the image")
    with todo.database.read() as session:
        publication = session.get_one(Publication, number)
        image = session.get_one(Image, publication.image_id)
        doomed = frozenset(session.exec(_others(number).where(col(Job.state) != State.DONE)).all())
    offer = replace(_offer(todo, publication, image), doomed=doomed)
    sent = _cloud(todo.database, todo.folders, publication).publish(offer, todo.progress, _noting(todo.database, Publication, number))
    with todo.database.write() as session:
        row = session.get_one(Publication, number)
        row.cloud_id, row.size, row.sha512, row.tenant, row.already = sent.cloud_id, sent.size, sent.sha512, sent.tenant, sent.already
    return done("Published already, nothing was sent" if sent.already else "Published")


def _others(number: int, cloud_id: str | None = None) -> Any:
    """Selects the images that other publications have in their clouds, or those that have this one."""
    found = select(Publication.cloud_id).join(Job, col(Job.id) == Publication.job_id).where(Publication.id != number, Publication.cloud_id != "")
    return found if cloud_id is None else found.where(Publication.cloud_id == cloud_id)


def _offer(todo: Assignment, publication: Publication, image: Image) -> Offer:
    from builders.clouds.offer import offer_of
    from scanner.report import Report

    assert image.id is not None
    report = Report(todo.folders.scan(image.scan_id)) if image.scan_id is not None else None
    asked = publication.asked
    return offer_of(todo.folders.image(image.id), asked["displayName"], public=asked["publicImage"], source=report.head if report else None)


def provision(todo: Assignment) -> Outcome:
    """Make the instance of the deployment `arguments.deployment`."""
    from builders.clouds.base import InstanceState

    number = todo.arguments["deployment"]
    with todo.database.read() as session:
        deployment = session.get_one(Deployment, number)
        publication = session.get_one(Publication, deployment.publication_id)
    began = _noting(todo.database, Deployment, number)
    made = _cloud(todo.database, todo.folders, publication).provision(publication.cloud_id, asking.opened(Vault(todo.folders.secrets_key), deployment.asked), todo.progress, began)
    if made.state is InstanceState.ERROR:
        return done(f"The instance is in ERROR: {made.fault}", exit_code=5)
    return done("Running")


def _noting(database: Database, table: type[Publication | Deployment], number: int) -> Callable[[str], None]:
    """Writes down the cloud's id of what is being made: as long as it is there, there is something to take away."""

    def note(cloud_id: str) -> None:
        with database.write() as session:
            session.get_one(table, number).cloud_id = cloud_id

    return note


def _cloud(database: Database, folders: Folders, publication: Publication) -> Cloud:
    from builders.clouds import opened

    with database.read() as session:
        account = session.get(CloudAccount, publication.account_id) if publication.account_id else None
    if account is None:
        raise NotFound(f"the account '{publication.account.get('name')}' is gone", hint="forgelet account create, then again")
    return opened(opening(Vault(folders.secrets_key), account, publication.asked), folders.cloud)


def take_back(database: Database, folders: Folders, job: Job) -> None:
    """Of a job that did not end well take away what is in the cloud, without waiting for it."""
    taken = partial(_taken, database, folders, job)
    threading.Thread(target=_persist, args=(job.id, taken), name=f"take-back-{job.id}", daemon=True).start()


@dataclass(frozen=True, slots=True)
class Leftover:
    """What a job that did not end well has in a cloud, with what opens that: for when its rows are gone."""

    job: int
    kind: str
    cloud_id: str
    account: Account


def leftovers(session: Session, vault: Vault, user_id: int | None = None) -> list[Leftover]:
    """Those of everybody, or of one user, in clouds elsewhere: the local one is folders."""
    return [one for table in (Publication, Deployment) for one in _leftovers(session, vault, table, user_id)]


def _leftovers(session: Session, vault: Vault, table: Any, user_id: int | None) -> Iterator[Leftover]:
    asked = select(table, Job).join(Job, col(Job.id) == table.job_id).where(Job.state != State.DONE, table.cloud_id != "")
    for row, job in session.exec(asked if user_id is None else asked.where(table.user_id == user_id)).all():
        publication = row if isinstance(row, Publication) else session.get_one(Publication, row.publication_id)
        account = session.get(CloudAccount, publication.account_id) if publication.account_id else None
        if job.kind == "publish" and session.exec(_others(row.id, row.cloud_id)).first() is not None:
            continue
        if account is not None and account.kind != LOCAL:
            yield Leftover(job.id or 0, job.kind, row.cloud_id, opening(vault, account, publication.asked))


def take_away(folders: Folders, found: Iterable[Leftover]) -> None:
    """Take these away, without waiting for it."""
    from builders.clouds import opened

    for one in found:
        taken = partial(_gone, opened(one.account, folders.cloud), one.kind, one.cloud_id)
        threading.Thread(target=_persist, args=(one.job, taken), name=f"take-back-{one.job}", daemon=True).start()


def _gone(cloud: Cloud, kind: str, cloud_id: str) -> bool:
    """That nothing is left of it in the cloud. Raises as `Cloud`."""
    with suppress(NotFound):
        (cloud.withdraw if kind == "publish" else cloud.terminate)(cloud_id)
    return True


def begin(database: Database, folders: Folders) -> None:
    """Go on with what a service before this one could not take away, and take away what it was about to hand out."""
    for file in folders.returns.glob("*"):
        # A part is what the next download goes on with.
        if file.suffix != ".partial":
            file.unlink(missing_ok=True)
    for table in (Publication, Deployment):
        with database.read() as session:
            left = session.exec(select(Job).where(Job.id == table.job_id, col(Job.state).in_((State.FAILED, State.CANCELLED)), table.cloud_id != "")).all()
        for job in left:
            take_back(database, folders, job)


def _persist(job: int, taken: Callable[[], bool]) -> None:
    """Until it is taken away: clouds do not answer at times."""
    for pause in PAUSES:
        clock.sleep(pause)
        try:
            if taken():
                return
        except NotFound as error:
            log.warning("what job %s left in its cloud cannot be taken away: %s", job, error)
            return
        except ForgeletError as error:
            log.warning("what job %s left in its cloud could not be taken away yet: %s", job, error)


def _taken(database: Database, folders: Folders, job: Job) -> bool:
    """Whether nothing is left that is the job's own: an image that another publication has too stays. Raises `NotFound` when the account is gone, and as `Cloud`."""
    table: Any = Publication if job.kind == "publish" else Deployment
    number = job.arguments[table.__name__.lower()]
    with database.read() as session:
        row = session.get(table, number)
        publication = row if row is None or job.kind == "publish" else session.get(Publication, row.publication_id)
        if row is None or publication is None or not row.cloud_id:
            return True
        others = job.kind == "publish" and session.exec(_others(number, row.cloud_id)).first() is not None
    if not others:
        _gone(_cloud(database, folders, publication), job.kind, row.cloud_id)
    with database.write() as session:
        found = session.get(table, number)
        if found is not None:
            found.cloud_id = ""
    return True
