"""Templates in and out: exports and imports of archives (rows 46 to 53), imports of scans (rows 27 to 29)."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from emulator.resources import archives
from emulator.resources.appliances import transfers
from emulator.resources.status import op_status
from emulator.service import TheOwner, TheService
from emulator.wire.answer import answer, lasting, nothing
from emulator.wire.body import body
from scanner.errors import NotFound

router = APIRouter(prefix="/users/{uid}")
EXPORT = "/appliances/{aid}/exports/{eid}"
SCAN = "/scannedinstances/{siid}/scans/{sid}/imports"


@router.post("/appliances/{aid}/exports")
def export(aid: int, here: TheService, owner: TheOwner, outputFormat: str = "yaml") -> Response:
    """An archive of the template, queued."""
    return answer("applianceExport", transfers.tell_export(owner, transfers.begin_export(here, owner, aid, outputFormat)), 201)


@router.get(EXPORT)
def show_export(aid: int, eid: int, here: TheService, owner: TheOwner) -> Response:
    """One export of a template."""
    with here.database.read() as session:
        return lasting("applianceExport", transfers.tell_export(owner, transfers.find_export(session, owner, aid, eid)))


@router.get(EXPORT + "/status")
def export_status(aid: int, eid: int, here: TheService, owner: TheOwner) -> Response:
    """How far an export has come."""
    with here.database.read() as session:
        return lasting("status", op_status(transfers.find_export(session, owner, aid, eid)[2]))


@router.get(EXPORT + "/downloads")
def download(aid: int, eid: int, here: TheService, owner: TheOwner) -> Response:
    """The archive that an export made."""
    with here.database.read() as session:
        appliance, _, job = transfers.find_export(session, owner, aid, eid)
    return archives.send(appliance.name, job, here.folders.export(eid))


@router.delete(EXPORT)
def delete_export(aid: int, eid: int, here: TheService, owner: TheOwner) -> Response:
    """Delete an export and its archive."""
    with here.database.read() as session:
        _, export, _ = transfers.find_export(session, owner, aid, eid)
    transfers.remove_export(here, export)
    return nothing()


@router.post("/imports")
def open_import(
    here: TheService, owner: TheOwner, imported: bool = False, force: bool = False, reuseBundles: bool = False, useMajor: bool = False
) -> Response:
    """A place for an archive."""
    made = transfers.open_import(here, owner, imported=imported, force=force, reuse_bundles=reuseBundles, use_major=useMajor)
    return answer("applianceImport", transfers.tell_import(owner, (made, None, None)), 201)


@router.post("/imports/{iid}/uploads")
async def upload(iid: int, request: Request, here: TheService, owner: TheOwner) -> Response:
    """The archive; then its import is queued."""

    def waits() -> bool:
        with here.database.read() as session:
            return transfers.find_import(session, owner, iid)[2] is None

    return await archives.receive(iid, request, here.folders.upload(iid), here, owner, waits=waits, begin=lambda: transfers.begin_import(here, owner, iid))


@router.get("/imports/{iid}")
def show_import(iid: int, here: TheService, owner: TheOwner) -> Response:
    """One import of a template."""
    with here.database.read() as session:
        return lasting("applianceImport", transfers.tell_import(owner, transfers.find_import(session, owner, iid)))


@router.get("/imports/{iid}/status")
def import_status(iid: int, here: TheService, owner: TheOwner) -> Response:
    """How far an import has come, and every mistake of its archive."""
    with here.database.read() as session:
        _, _, job = transfers.find_import(session, owner, iid)
    return lasting("status", archives.status(job))


@router.post(SCAN)
def import_scan(
    siid: int, sid: int, asked: Annotated[dict[str, Any], Depends(body("scanImport"))], here: TheService, owner: TheOwner
) -> Response:
    """A template from a scan, queued."""
    name, version = str(asked.get("importedObjectName") or ""), str(asked.get("importedObjectVersion") or "")
    return answer("scanImport", transfers.tell_scan_import(owner, transfers.begin_scan_import(here, owner, siid, sid, name, version)), 201)


@router.get(SCAN + "/status")
@router.get(SCAN + "/status/")
def scan_import_statuses(siid: int, sid: int, here: TheService, owner: TheOwner, i: str = "") -> Response:
    """The import with the uri `i`; without it all of the scan's."""
    with here.database.read() as session:
        found = transfers.scan_imports(session, owner, siid, sid)
    chosen = [one for one in found if not i or transfers.scan_import_uri(owner, *one[:2]) == i.strip("/")]
    if i and not chosen:
        raise NotFound(f"there is no import '{i}'", hint="forgelet template list")
    return lasting("statuses", {"statuses": {"status": [op_status(job) for _, _, job in chosen]}})


@router.delete(SCAN + "/{iid}/status")
def cancel_scan_import(siid: int, sid: int, iid: int, here: TheService, owner: TheOwner) -> Response:
    """Stop the import; one that is over stays as it is."""
    with here.database.read() as session:
        for _, one, job in transfers.scan_imports(session, owner, siid, sid):
            if one.id == iid:
                assert job.id is not None
                here.queue.cancel(job.id)
                return nothing()
    raise NotFound(f"scan {sid} has no import {iid}", hint="forgelet template list")
