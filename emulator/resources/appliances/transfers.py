"""Ways in and out of templates: exports, imports of archives, imports of scans. Each is a job; the POST answers at once."""

from __future__ import annotations

from typing import Any

from sqlmodel import Session, col, select

from emulator.errors import Conflict
from emulator.jobs import ledger
from emulator.jobs.kinds import State
from emulator.resources import archives
from emulator.resources.appliances import service as templates
from emulator.resources.appliances.tables import Appliance, ApplianceExport, ApplianceImport, ScanImport
from emulator.resources.jobs.tables import Job
from emulator.resources.quotas import service as quotas
from emulator.resources.scans import service as scans
from emulator.resources.scans.tables import Scan
from emulator.resources.status import op_status
from emulator.resources.users.tables import User
from emulator.service import Service
from emulator.storage import stamp
from scanner.errors import NotFound

# exports


def begin_export(here: Service, user: User, appliance_id: int, format: str) -> tuple[Appliance, ApplianceExport, Job]:
    """Queue an archive of the template. Raises `UserError` for a format that there is not."""
    written = archives.output_format(format)
    with here.database.write() as session:
        appliance = templates.find(session, user, appliance_id)
        assert user.id is not None and appliance.id is not None
        job = ledger.create(session, user.id, "export", "", {})
        assert job.id is not None
        export = ApplianceExport(appliance_id=appliance.id, format=written, job_id=job.id, created=stamp.now())
        session.add(export)
        session.flush()
        job.subject = export_uri(user, export)
        job.arguments = {"export": export.id, "appliance": appliance.id, "format": export.format}
    here.queue.submit()
    return appliance, export, job


def export_uri(user: User, export: ApplianceExport) -> str:
    return f"users/{user.login}/appliances/{export.appliance_id}/exports/{export.id}"


def find_export(session: Session, user: User, appliance_id: int, export_id: int) -> tuple[Appliance, ApplianceExport, Job]:
    """Raises `NotFound`."""
    appliance = templates.find(session, user, appliance_id)
    export = session.get(ApplianceExport, export_id)
    if export is None or export.appliance_id != appliance_id:
        raise NotFound(f"template {appliance_id} has no export {export_id}", hint=f"forgelet template export --id {appliance_id}")
    return appliance, export, session.get_one(Job, export.job_id)


def tell_export(user: User, found: tuple[Appliance, ApplianceExport, Job]) -> dict[str, Any]:
    """applianceExport; `jobId` is ours."""
    appliance, export, job = found
    place = export_uri(user, export)
    return {
        "created": export.created,
        "dbId": export.id,
        "applianceName": appliance.name,
        "applianceVersion": appliance.version,
        "downloadUri": f"{place}/downloads",
        "parentUri": templates.uri(user, appliance),
        "status": op_status(job),
        "uri": place,
        "jobId": job.id,
    }


def remove_export(here: Service, export: ApplianceExport) -> None:
    """Take the archive away; one that is being written is stopped."""
    assert export.id is not None
    archives.remove(here, export, here.folders.export(export.id))


# imports of archives


def open_import(here: Service, user: User, *, imported: bool, force: bool, reuse_bundles: bool, use_major: bool) -> ApplianceImport:
    """A place for an archive to be uploaded to. Raises `QuotaExceeded` before anything is sent."""
    quotas.room(here, user)
    assert user.id is not None
    made = ApplianceImport(
        user_id=user.id, imported=imported, force=force, reuse_bundles=reuse_bundles, use_major=use_major, created=stamp.now()
    )
    with here.database.write() as session:
        _claim(session, user, force)
        session.add(made)
    return made


def begin_import(here: Service, user: User, import_id: int) -> Job:
    """Queue the reading of the archive that was uploaded. Raises `Conflict` for a second one."""
    quotas.room(here, user)
    with here.database.write() as session:
        found, _, _ = find_import(session, user, import_id)
        if found.job_id is not None:
            raise Conflict(f"import {import_id} has its archive already", hint="begin another import")
        _claim(session, user, found.force)
        assert user.id is not None
        job = ledger.create(session, user.id, "import", f"users/{user.login}/imports/{import_id}", {})
        appliance = _placeholder(session, user, job)
        found.job_id, found.appliance_id = job.id, appliance.id
        options = {"force": found.force, "useMajor": found.use_major, "imported": found.imported, "reuseBundles": found.reuse_bundles}
        job.arguments = {"import": import_id, "appliance": appliance.id, **options}
    here.queue.submit()
    return job


def _claim(session: Session, user: User, force: bool) -> None:
    """What is forced may replace a template: only its job knows, and asks again."""
    if not force:
        quotas.claim(session, user, "appliance")


def _placeholder(session: Session, user: User, job: Job, name: str = "", version: str = "") -> Appliance:
    """The row of a template that its job will fill; nobody sees it until then."""
    assert user.id is not None
    appliance = Appliance(user_id=user.id, name=name, version=version, job_id=job.id, created=stamp.now(), modified=stamp.now())
    session.add(appliance)
    session.flush()
    return appliance


def find_import(session: Session, user: User, import_id: int) -> tuple[ApplianceImport, Appliance | None, Job | None]:
    """Raises `NotFound`."""
    found = session.get(ApplianceImport, import_id)
    if found is None or found.user_id != user.id:
        raise NotFound(f"there is no import {import_id}", hint="forgelet template import --file ARCHIVE")
    job = session.get(Job, found.job_id) if found.job_id is not None else None
    return found, session.get(Appliance, found.appliance_id) if found.appliance_id is not None else None, job


def tell_import(user: User, found: tuple[ApplianceImport, Appliance | None, Job | None]) -> dict[str, Any]:
    """applianceImport; `jobId` is ours."""
    one, appliance, job = found
    place = f"users/{user.login}/imports/{one.id}"
    return {
        "created": one.created,
        "dbId": one.id,
        "status": archives.status(job),
        "uploaded": job is not None,
        "useMajor": one.use_major,
        "reuseBundles": one.reuse_bundles,
        "force_rw": one.force,
        "imported": one.imported,
        "referenceUri": templates.uri(user, appliance) if appliance is not None and job is not None and job.state == State.DONE else "",
        "uploadUri": f"{place}/uploads",
        "uri": place,
        "jobId": job.id if job else None,
    }


# imports of scans


def begin_scan_import(here: Service, user: User, instance_id: int, scan_id: int, name: str, version: str) -> tuple[Scan, ScanImport, Job]:
    """Queue the making of a template from a scan. Raises `Conflict`, `UserError`; then nothing was started."""
    from builders.plan import supported
    from scanner.report import Report

    quotas.room(here, user)
    templates.check_title(name, version)
    with here.database.read() as session:
        _, scan, job = scans.find_scan(session, user, instance_id, scan_id)
    if job.state != State.DONE:
        raise Conflict(f"'{scan.name}' cannot become a template: it is {job.state}", hint=f"forgelet job show {job.id}")
    supported(Report(here.folders.scan(scan_id)).head)
    with here.database.write() as session:
        assert user.id is not None and scan.id is not None
        templates.check_free(session, user.id, name, version)
        quotas.claim(session, user, "appliance")
        job = ledger.create(session, user.id, "scan-import", "", {})
        assert job.id is not None
        appliance = _placeholder(session, user, job, name, version)
        made = ScanImport(scan_id=scan.id, appliance_id=appliance.id, name=name, version=version, job_id=job.id, created=stamp.now())
        session.add(made)
        session.flush()
        job.subject = scan_import_uri(user, scan, made)
        job.arguments = {"scan": scan.id, "appliance": appliance.id, "name": name, "version": version}
    here.queue.submit()
    return scan, made, job


def scan_import_uri(user: User, scan: Scan, one: ScanImport) -> str:
    return f"{scans.scan_uri(user, scan)}/imports/{one.id}"


def scan_imports(session: Session, user: User, instance_id: int, scan_id: int) -> list[tuple[Scan, ScanImport, Job]]:
    """Newest first, as a client that asks for the status of one reads the first."""
    _, scan, _ = scans.find_scan(session, user, instance_id, scan_id)
    wanted = select(ScanImport, Job).where(ScanImport.scan_id == scan_id, ScanImport.job_id == Job.id).order_by(col(ScanImport.id).desc())
    return [(scan, one, job) for one, job in session.exec(wanted).all()]


def tell_scan_import(user: User, found: tuple[Scan, ScanImport, Job]) -> dict[str, Any]:
    """scanImport; `jobId` is ours."""
    scan, one, job = found
    done = job.state == State.DONE and one.appliance_id is not None
    return {
        "created": one.created,
        "dbId": one.id,
        "importedObjectName": one.name,
        "importedObjectUri": f"users/{user.login}/appliances/{one.appliance_id}" if done else "",
        "importedObjectVersion": one.version,
        "parentUri": scans.scan_uri(user, scan),
        "status": op_status(job),
        "uri": scan_import_uri(user, scan, one),
        "jobId": job.id,
    }
