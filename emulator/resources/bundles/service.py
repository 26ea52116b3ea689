"""Bundles: find, tell under UForge's names, clone, delete; what templates take from the library and put into it."""

from __future__ import annotations

import mimetypes
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlmodel import Session, col, select

from emulator.errors import Conflict
from emulator.folders import Folders
from emulator.jobs.kinds import State
from emulator.resources.appliances.tables import Appliance
from emulator.resources.bundles.tables import Bundle, BundleExport
from emulator.resources.formats import catalogue
from emulator.resources.jobs.tables import Job
from emulator.resources.quotas import service as quotas
from emulator.resources.users.tables import User
from emulator.service import Service
from emulator.storage import stamp
from scanner.errors import NotFound, UserError

if TYPE_CHECKING:
    from builders.library import Kept


def uri(user: User, bundle: Bundle) -> str:
    return f"users/{user.login}/mysoftware/{bundle.id}"


def bundles(session: Session, user_id: int | None) -> Sequence[Bundle]:
    """The bundles that are whole, in the order in which they were made."""
    wanted = select(Bundle, Job).join(Job, isouter=True, onclause=col(Bundle.job_id) == col(Job.id)).where(Bundle.user_id == user_id)
    return [bundle for bundle, job in session.exec(wanted.order_by(col(Bundle.id))).all() if job is None or job.state == State.DONE]


def find(session: Session, user: User, bundle_id: int) -> Bundle:
    """Raises `NotFound`, for other users' bundles and unfinished ones too."""
    found = session.get(Bundle, bundle_id)
    if found is not None and found.user_id == user.id:
        job = session.get(Job, found.job_id) if found.job_id is not None else None
        if job is None or job.state == State.DONE:
            return found
    raise NotFound(f"there is no bundle {bundle_id}", hint="forgelet bundle list")


def check_free(session: Session, user_id: int, name: str, version: str) -> None:
    """Raises `Conflict` when there is such a bundle, one that is being made included."""
    there = session.exec(select(Bundle).where(Bundle.user_id == user_id, Bundle.name == name, Bundle.version == version)).first()
    if there is not None:
        raise Conflict(
            f"there is a bundle '{name}' of version '{version}' already ({there.id})",
            hint=f"give another name or version, or first: forgelet bundle delete --id {there.id}",
        )


def check_title(name: str, version: str) -> None:
    """Raises `UserError` for a name or version that no bundle can have."""
    from builders.titles import is_title, shown

    problems = [
        f"{key}: {shown(value)} is empty, too long, leads elsewhere, or has slashes or unprintable characters in it"
        for key, value in (("name", name), ("version", version))
        if not is_title(value)
    ]
    if problems:
        raise UserError("the bundle cannot be called so", problems=problems)


def kept(folders: Folders, bundle: Bundle) -> Kept:
    """The bundle with its files."""
    from builders.library import Kept

    assert bundle.id is not None
    return Kept(bundle.document, folders.bundle(bundle.id) / "files")


def tell(folders: Folders, session: Session, user: User, bundle: Bundle, holders: Sequence[Appliance] | None = None) -> dict[str, Any]:
    """mySoftware; `files` is ours. `holders` are the user's templates, where they are at hand."""
    place, document = uri(user, bundle), bundle.document
    holders = session.exec(select(Appliance).where(Appliance.user_id == user.id)).all() if holders is None else holders
    used = [one.id for one in holders if any((b.get("name"), b.get("version")) == (bundle.name, bundle.version) for b in one.stack.get("bundles") or [])]
    rule = document.get("restrictionRule")
    return {
        "created": bundle.created,
        "dbId": bundle.id,
        "lastModified": bundle.modified,
        "shortTag": document.get("shortTag"),
        "name": bundle.name,
        "version": bundle.version,
        "description": document.get("description") or "",
        "installLocation": document.get("destination") or "/",
        "restricted": bool(rule or document.get("oses")),
        "installedSize": bundle.size,
        "size": bundle.size,
        "revision": 1,
        "bundleRestriction": {"restrictionRule": rule, "parentUri": place} if rule else None,
        "uri": place,
        "exportUri": f"{place}/exports",
        "category": _category(document.get("category")),
        "license": _license(folders, place, bundle),
        "maintainer": document.get("maintainer"),
        "website": document.get("website"),
        "applianceUris": {"uri": [f"users/{user.login}/appliances/{one}" for one in used]},
        "cloneUri": f"{place}/clone",
        "imported": bundle.imported,
        "generationEnabled": False,
        "files": document.get("files") or [],
    }


def _category(name: Any) -> dict[str, Any] | None:
    """One of the organisation's, or the name alone where it has none of that name."""
    if not name:
        return None
    for one in catalogue.categories():
        if one.type == "PROJECT" and one.name.lower() == str(name).lower():
            return one.tell()
    return {"name": str(name), "type": "PROJECT"}


def _license(folders: Folders, place: str, bundle: Bundle) -> dict[str, Any] | None:
    license = bundle.document.get("license")
    source = license.get("source") if isinstance(license, dict) else None
    if not isinstance(license, dict) or not source:
        return None
    assert bundle.id is not None
    path = folders.bundle(bundle.id) / "files" / source
    kind = mimetypes.guess_type(source)[0] or "application/octet-stream"
    return {"mimeType": kind, "size": path.stat().st_size if path.is_file() else 0, "uploaded": True, "name": license.get("name") or Path(source).name, "parentUri": place}


def clone(here: Service, user: User, bundle_id: int, name: str, version: str) -> Bundle:
    """The same bundle under another name or version; its files are shared. Raises `Conflict`, `UserError`."""
    check_title(name, version)
    quotas.room(here, user)
    with here.database.write() as session:
        source = find(session, user, bundle_id)
        assert user.id is not None
        check_free(session, user.id, name, version)
        document = {**source.document, "name": name, "version": version}
        return add(session, here.folders, user.id, document, kept(here.folders, source).files)


def add(session: Session, folders: Folders, user_id: int, document: dict[str, Any], files: Path) -> Bundle:
    """A new bundle, with links to its files, in the caller's transaction."""
    from builders.library import keep

    now = stamp.now()
    made = Bundle(user_id=user_id, name=document["name"], version=document["version"], created=now, modified=now)
    session.add(made)
    session.flush()
    assert made.id is not None
    place = folders.bundle(made.id)
    # A number that a transaction gave and took back is given again: what that one left behind is nobody's.
    folders.discard(place)
    try:
        put = keep(document, files, place)
        made.document, made.size = put.document, put.size
        session.flush()
    except BaseException:
        folders.discard(place)
        raise
    return made


def remove(here: Service, bundle: Bundle) -> None:
    """Take the bundle away with its exports. Templates keep what they took of it."""
    assert bundle.id is not None
    with here.database.write() as session:
        exports = session.exec(select(BundleExport).where(BundleExport.bundle_id == bundle.id)).all()
        session.delete(session.get_one(Bundle, bundle.id))
    for export in exports:
        assert export.id is not None
        here.queue.cancel(export.job_id)
        here.folders.discard(here.folders.bundle_export(export.id))
    here.folders.discard(here.folders.bundle(bundle.id))


# what templates do with the library


def library(session: Session, folders: Folders, user_id: int) -> dict[tuple[str, str], Kept]:
    """All bundles of the user, by name and version."""
    return {(one.name, one.version): kept(folders, one) for one in bundles(session, user_id)}


def take_in(session: Session, folders: Folders, user_id: int, documents: Iterable[dict[str, Any]], files: Path, *, force: bool) -> list[Path]:
    """Put a template's bundles into the library, in the caller's transaction; answers folders to be discarded once that is over.

    One that is there already, word for word and byte for byte, stays; another of its name and version goes when it is forced.
    Raises `Conflict`.
    """
    from builders.library import Kept

    gone: list[Path] = []
    there = {(one.name, one.version): one for one in bundles(session, user_id)}
    with ExitStack() as undo:
        for document in documents:
            title = document["name"], document["version"]
            if title not in there:
                check_free(session, user_id, *title)
            made = add(session, folders, user_id, document, files)
            assert made.id is not None
            undo.callback(folders.discard, folders.bundle(made.id))
            if title not in there:
                continue
            old = there[title]
            same = kept(folders, old).digest() == Kept(made.document, folders.bundle(made.id) / "files").digest()
            if not same and not force:
                raise Conflict(
                    f"there is a bundle '{old.name}' of version '{old.version}' already ({old.id}), and it is another one",
                    hint="take that one with --rbundles, replace it with --force, or give the bundle another version",
                )
            drop = made if same else old
            assert drop.id is not None
            gone.append(folders.bundle(drop.id))
            session.delete(drop)
        session.flush()
        undo.pop_all()
    return gone
