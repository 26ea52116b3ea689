"""Publications: begin, find, tell, take back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlmodel import Session, col, select

from emulator.errors import Conflict
from emulator.jobs import ledger
from emulator.jobs.kinds import ENDED, State
from emulator.resources.accounts import service as accounts
from emulator.resources.accounts.opening import ANSWER, cloud_of, reachable
from emulator.resources.accounts.tables import CloudAccount
from emulator.resources.deployments.tables import Deployment
from emulator.resources.formats.catalogue import image_format
from emulator.resources.images.service import Found as FoundImage
from emulator.resources.images.service import image_uri, source_uri
from emulator.resources.jobs.tables import Job
from emulator.resources.publications import fetched
from emulator.resources.publications.asked import account_of, asked_of
from emulator.resources.publications.tables import Publication
from emulator.resources.remembered import Remembered
from emulator.resources.status import JOB_HEAD, op_status
from emulator.resources.users.tables import User
from emulator.service import Service
from emulator.storage import stamp
from emulator.storage.narrow import stored
from emulator.wire.shared import Shared
from scanner.errors import NotFound
from scanner.progress import Silent

Found = tuple[Publication, Job]
PATIENCE = 20.0
_told = Remembered()


def publication_uri(publication: Publication) -> str:
    return f"{publication.image_uri}/pimages/{publication.id}"


def tell(found: Found) -> dict[str, Any]:
    """publishImage; `tenantName` also for Keystone v3, where clients never sent one but look for it when they deploy."""
    publication, job = found
    uri = publication_uri(publication)
    return {
        "xsiType": "PublishImageOpenStack",
        "created": publication.created,
        "dbId": publication.id,
        "name": publication.name,
        "parentUri": publication.source_uri,
        "uri": uri,
        "statusUri": f"{uri}/status",
        "imageUri": publication.image_uri,
        "status": op_status(job),
        "targetFormat": image_format(publication.format).tell(),
        "credAccount": publication.account,
        "cloudId": publication.cloud_id if job.state == State.DONE else "",
        "size": publication.size,
        "fileSize": publication.size,
        **publication.asked,
        "tenantName": publication.tenant or publication.asked.get("keystoneProject", ""),
        "jobId": job.id,
        "sha512sum": publication.sha512,
        "already": publication.already,
    }


def tell_all(session: Session, user: User, image_id: int | None = None) -> list[Shared]:
    """What lists tell, in the order in which they were asked for; of one image when it is named."""
    wanted = select(*stored(Publication), *JOB_HEAD).where(Publication.user_id == user.id, Publication.job_id == Job.id).order_by(col(Publication.id))
    heads = session.connection().execute(wanted if image_id is None else wanted.where(Publication.image_id == image_id)).all()

    def tell_these(numbers: Sequence[int]) -> Iterator[tuple[int, dict[str, Any]]]:
        for found in session.exec(select(Publication, Job).where(col(Publication.id).in_(numbers), Publication.job_id == Job.id)):
            yield found[0].id or 0, tell(found)

    return _told.told(user.login, heads, tell_these)


def find(session: Session, user: User, publication_id: int, image_id: int | None = None) -> Found:
    """Raises `NotFound`, for other users' publications too."""
    found = session.get(Publication, publication_id)
    if found is None or found.user_id != user.id or image_id not in (None, found.image_id):
        raise NotFound(f"there is no publication {publication_id}", hint="forgelet image list")
    return found, session.get_one(Job, found.job_id)


def begin(here: Service, user: User, image: FoundImage, given: dict[str, Any]) -> Found:
    """Queue the sending of a finished image. `given` is a publishImage, or what a builder says. Raises `UserError`, `Conflict`, `NotYet`, `NotFound`."""
    made, source, built = image
    if built.state != State.DONE:
        raise Conflict(f"image {made.id} cannot be published: it is {built.state}", hint=f"forgelet job show {built.id}")
    if built.arguments.get("simulated"):
        raise Conflict(f"image {made.id} was only simulated: there is no disk to publish", hint="build it without --simulate")
    asked = asked_of(given, made.name)
    with here.database.read() as session:
        account = named_account(session, user, account_of(given.get("credAccount") or given.get("account")))
    reachable(account)
    assert user.id is not None
    with here.database.write() as session:
        job = ledger.create(session, user.id, "publish", "", {})
        publication = Publication(
            user_id=user.id,
            image_id=made.id,
            account_id=account.id,
            name=asked["displayName"],
            format=made.type,
            image_uri=image_uri(user, source, made),
            source_uri=source_uri(user, source),
            account=accounts.tell(user, account),
            asked=asked,
            job_id=job.id or 0,
            created=stamp.now(),
        )
        session.add(publication)
        session.flush()
        job.subject = publication_uri(publication)
        job.arguments = {"publication": publication.id, "image": made.id, "account": account.name}
    here.queue.submit()
    return publication, job


def named_account(session: Session, user: User, named: dict[str, Any]) -> CloudAccount:
    """The account that `publications.asked.account_of` named. Raises `NotFound`."""
    if "dbId" in named or "uri" in named:
        number = str(named.get("dbId") or str(named["uri"]).rstrip("/").rpartition("/")[2])
        if number.isdigit():
            return accounts.find(session, user, int(number))
    return accounts.named(session, user, str(named.get("name", "")))


def cancel(here: Service, found: Found) -> None:
    """Stop the sending; what is in the cloud of it is taken away there."""
    job = found[1]
    assert job.id is not None
    here.queue.cancel(job.id)


def withdraw(here: Service, user: User, found: Found) -> None:
    """Take the image out of its cloud, and the publication from the list. Raises `Conflict`, `CloudRefused`, `Unreachable`."""
    publication, job = found
    assert job.id is not None
    with here.database.read() as session:
        uses = session.exec(select(Deployment.name).where(Deployment.publication_id == publication.id)).all()
    if uses:
        raise Conflict(f"publication {publication.id} is in use by {', '.join(uses)}", hint="forgelet deploy terminate, then again")
    if job.state not in ENDED:
        here.queue.cancel(job.id)
        if not here.queue.wait(job.id, PATIENCE):
            raise Conflict(f"job {job.id} is still being stopped", hint="the same again in a moment")
        with here.database.read() as session:
            publication = session.get_one(Publication, publication.id)
    if publication.cloud_id and not _shared(here, publication):
        # Somebody may have taken it away in the cloud itself.
        with suppress(NotFound):
            cloud_of(here, account_row(here, user, publication), publication.asked, ANSWER).withdraw(publication.cloud_id)
    with here.database.write() as session:
        session.delete(session.get_one(Publication, publication.id))
    fetched.forget(here.folders.fetched(publication.id or 0, publication.cloud_id))


def _shared(here: Service, publication: Publication) -> bool:
    """Whether another publication is the same image in the cloud."""
    with here.database.read() as session:
        same = select(Publication).where(Publication.cloud_id == publication.cloud_id, Publication.id != publication.id)
        return session.exec(same).first() is not None


def fetch(here: Service, user: User, publication: Publication) -> Path:
    """The image as its cloud has it, in a file of the caller's own. Raises `Conflict`, `CloudRefused`, `Unreachable`, `DiskFull`."""

    def from_cloud(into: Path) -> None:
        cloud_of(here, account_row(here, user, publication), publication.asked).fetch(publication.cloud_id, into, Silent())

    return fetched.link(here.folders.fetched(publication.id or 0, publication.cloud_id), from_cloud)


def account_row(here: Service, user: User, publication: Publication) -> CloudAccount:
    """The account that it was sent with. Raises `Conflict` when it is gone."""
    if publication.account_id is None:
        raise Conflict(f"the account '{publication.account.get('name')}' of publication {publication.id} is gone", hint="forgelet account create, then publish again")
    with here.database.read() as session:
        return accounts.find(session, user, publication.account_id)
