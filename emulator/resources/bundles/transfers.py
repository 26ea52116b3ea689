"""Ways in and out of the library: exports and imports of archives. Each is a job; the POST answers at once."""

from __future__ import annotations

from typing import Any

from sqlmodel import Session

from emulator.errors import Conflict
from emulator.jobs import ledger
from emulator.jobs.kinds import State
from emulator.resources import archives
from emulator.resources.bundles import service as library
from emulator.resources.bundles.tables import Bundle, BundleExport, BundleImport
from emulator.resources.jobs.tables import Job
from emulator.resources.quotas import service as quotas
from emulator.resources.status import op_status
from emulator.resources.users.tables import User
from emulator.service import Service
from emulator.storage import stamp
from scanner.errors import NotFound

FoundExport = tuple[Bundle, BundleExport, Job]
FoundImport = tuple[BundleImport, Bundle | None, Job | None]


def begin_export(here: Service, user: User, bundle_id: int, format: str) -> FoundExport:
    """Queue an archive of the bundle. Raises `UserError` for a format that there is not."""
    written = archives.output_format(format)
    with here.database.write() as session:
        bundle = library.find(session, user, bundle_id)
        assert user.id is not None and bundle.id is not None
        job = ledger.create(session, user.id, "bundle-export", "", {})
        assert job.id is not None
        export = BundleExport(bundle_id=bundle.id, format=written, job_id=job.id, created=stamp.now())
        session.add(export)
        session.flush()
        job.subject = export_uri(user, export)
        job.arguments = {"export": export.id, "bundle": bundle.id, "format": export.format}
    here.queue.submit()
    return bundle, export, job


def export_uri(user: User, export: BundleExport) -> str:
    return f"users/{user.login}/mysoftware/{export.bundle_id}/exports/{export.id}"


def find_export(session: Session, user: User, bundle_id: int, export_id: int) -> FoundExport:
    """Raises `NotFound`."""
    bundle = library.find(session, user, bundle_id)
    export = session.get(BundleExport, export_id)
    if export is None or export.bundle_id != bundle_id:
        raise NotFound(f"bundle {bundle_id} has no export {export_id}", hint=f"forgelet bundle export --id {bundle_id}")
    return bundle, export, session.get_one(Job, export.job_id)


def tell_export(user: User, found: FoundExport) -> dict[str, Any]:
    """softwareBundleExport; `jobId` is ours."""
    bundle, export, job = found
    place = export_uri(user, export)
    return {
        "created": export.created,
        "dbId": export.id,
        "bundleName": bundle.name,
        "bundleVersion": bundle.version,
        "downloadUri": f"{place}/downloads",
        "parentUri": library.uri(user, bundle),
        "status": op_status(job),
        "uri": place,
        "jobId": job.id,
    }


def remove_export(here: Service, export: BundleExport) -> None:
    """Take the archive away; one that is being written is stopped."""
    assert export.id is not None
    archives.remove(here, export, here.folders.bundle_export(export.id))


def open_import(here: Service, user: User, *, imported: bool) -> BundleImport:
    """A place for an archive to be uploaded to."""
    assert user.id is not None
    made = BundleImport(user_id=user.id, imported=imported, created=stamp.now())
    with here.database.write() as session:
        session.add(made)
    return made


def begin_import(here: Service, user: User, import_id: int) -> Job:
    """Queue the reading of the archive that was uploaded. Raises `Conflict` for a second one, `QuotaExceeded`."""
    quotas.room(here, user)
    with here.database.write() as session:
        found, _, _ = find_import(session, user, import_id)
        if found.job_id is not None:
            raise Conflict(f"import {import_id} has its archive already", hint="begin another import")
        assert user.id is not None
        job = ledger.create(session, user.id, "bundle-import", f"users/{user.login}/bundleimports/{import_id}", {})
        bundle = Bundle(user_id=user.id, imported=found.imported, job_id=job.id, created=stamp.now(), modified=stamp.now())
        session.add(bundle)
        session.flush()
        found.job_id, found.bundle_id = job.id, bundle.id
        job.arguments = {"import": import_id, "bundle": bundle.id}
    here.queue.submit()
    return job


def find_import(session: Session, user: User, import_id: int) -> FoundImport:
    """Raises `NotFound`."""
    found = session.get(BundleImport, import_id)
    if found is None or found.user_id != user.id:
        raise NotFound(f"there is no import {import_id}", hint="forgelet bundle import --file ARCHIVE")
    job = session.get(Job, found.job_id) if found.job_id is not None else None
    return found, session.get(Bundle, found.bundle_id) if found.bundle_id is not None else None, job


def tell_import(user: User, found: FoundImport) -> dict[str, Any]:
    """softwareBundleImport; `jobId` is ours."""
    one, bundle, job = found
    place = f"users/{user.login}/bundleimports/{one.id}"
    return {
        "created": one.created,
        "dbId": one.id,
        "status": archives.status(job),
        "uploaded": job is not None,
        "referenceUri": library.uri(user, bundle) if bundle is not None and job is not None and job.state == State.DONE else "",
        "uploadUri": f"{place}/uploads",
        "statusUri": f"{place}/status",
        "imported": one.imported,
        "uri": place,
        "jobId": job.id if job else None,
    }
