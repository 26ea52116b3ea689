"""Bundles: rows 68 to 80 of the call table."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from sqlmodel import select

from emulator.resources import archives
from emulator.resources.appliances.tables import Appliance
from emulator.resources.bundles import service as library
from emulator.resources.bundles import transfers
from emulator.resources.status import op_status
from emulator.service import TheOwner, TheService
from emulator.wire.answer import answer, collection, lasting, nothing
from emulator.wire.body import body
from emulator.wire.query import parse
from scanner.errors import NotFound

router = APIRouter(prefix="/users/{uid}")
BUNDLE = "/mysoftware/{msid}"
EXPORT = BUNDLE + "/exports/{eid}"
IMPORT = "/bundleimports/{sbid}"


@router.get("/mysoftware")
def index(here: TheService, owner: TheOwner, query: str | None = None) -> Response:
    """The bundles of the user's library."""
    wanted = parse(query)
    with here.database.read() as session:
        holders = session.exec(select(Appliance).where(Appliance.user_id == owner.id)).all()
        told = [library.tell(here.folders, session, owner, one, holders) for one in library.bundles(session, owner.id)]
    return collection("mySoftwareList", "mySoftware", [one for one in told if wanted.keeps(one)])


@router.get(BUNDLE)
def show(msid: int, here: TheService, owner: TheOwner) -> Response:
    """One bundle."""
    with here.database.read() as session:
        return answer("mySoftware", library.tell(here.folders, session, owner, library.find(session, owner, msid)))


@router.delete(BUNDLE)
def delete(msid: int, here: TheService, owner: TheOwner) -> Response:
    """Delete a bundle from the library."""
    with here.database.read() as session:
        found = library.find(session, owner, msid)
    library.remove(here, found)
    return nothing()


@router.post(BUNDLE + "/clone")
def clone(msid: int, asked: Annotated[dict[str, Any], Depends(body("mySoftware"))], here: TheService, owner: TheOwner) -> Response:
    """The same bundle under another name or version."""
    made = library.clone(here, owner, msid, str(asked.get("name") or ""), str(asked.get("version") or ""))
    with here.database.read() as session:
        return answer("mySoftware", library.tell(here.folders, session, owner, made), 201)


@router.get(BUNDLE + "/templates/{tid}")
def container_template(msid: int, tid: int, here: TheService, owner: TheOwner) -> Response:
    """What a container image of a bundle was made from. There is none: no format of containers is built."""
    with here.database.read() as session:
        found = library.find(session, owner, msid)
    raise NotFound(f"the bundle '{found.name}' has no container template {tid}: container images are not built", hint="forgelet format list")


@router.post(BUNDLE + "/exports")
def export(msid: int, here: TheService, owner: TheOwner, outputFormat: str = "yaml") -> Response:
    """An archive of the bundle, queued."""
    return answer("softwareBundleExport", transfers.tell_export(owner, transfers.begin_export(here, owner, msid, outputFormat)), 201)


@router.get(EXPORT)
def show_export(msid: int, eid: int, here: TheService, owner: TheOwner) -> Response:
    """One export of a bundle."""
    with here.database.read() as session:
        return lasting("softwareBundleExport", transfers.tell_export(owner, transfers.find_export(session, owner, msid, eid)))


@router.get(EXPORT + "/status")
def export_status(msid: int, eid: int, here: TheService, owner: TheOwner) -> Response:
    """How far an export has come."""
    with here.database.read() as session:
        return lasting("status", op_status(transfers.find_export(session, owner, msid, eid)[2]))


@router.get(EXPORT + "/downloads")
def download(msid: int, eid: int, here: TheService, owner: TheOwner) -> Response:
    """The archive that an export made."""
    with here.database.read() as session:
        bundle, _, job = transfers.find_export(session, owner, msid, eid)
    return archives.send(bundle.name, job, here.folders.bundle_export(eid))


@router.delete(EXPORT)
def delete_export(msid: int, eid: int, here: TheService, owner: TheOwner) -> Response:
    """Delete an export and its archive."""
    with here.database.read() as session:
        _, export, _ = transfers.find_export(session, owner, msid, eid)
    transfers.remove_export(here, export)
    return nothing()


@router.post("/bundleimports")
def open_import(here: TheService, owner: TheOwner, imported: bool = False) -> Response:
    """A place for an archive."""
    made = transfers.open_import(here, owner, imported=imported)
    return answer("softwareBundleImport", transfers.tell_import(owner, (made, None, None)), 201)


@router.post(IMPORT + "/uploads")
async def upload(sbid: int, request: Request, here: TheService, owner: TheOwner) -> Response:
    """The archive; then its import is queued."""

    def waits() -> bool:
        with here.database.read() as session:
            return transfers.find_import(session, owner, sbid)[2] is None

    return await archives.receive(sbid, request, here.folders.bundle_upload(sbid), here, owner, waits=waits, begin=lambda: transfers.begin_import(here, owner, sbid))


@router.get(IMPORT)
def show_import(sbid: int, here: TheService, owner: TheOwner) -> Response:
    """One import of a bundle."""
    with here.database.read() as session:
        return lasting("softwareBundleImport", transfers.tell_import(owner, transfers.find_import(session, owner, sbid)))


@router.get(IMPORT + "/status")
def import_status(sbid: int, here: TheService, owner: TheOwner) -> Response:
    """How far an import has come, and every mistake of its archive."""
    with here.database.read() as session:
        _, _, job = transfers.find_import(session, owner, sbid)
    return lasting("status", archives.status(job))
