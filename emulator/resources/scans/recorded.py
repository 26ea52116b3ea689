"""A report that was recorded elsewhere becomes a scan that is done."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from emulator.jobs import ledger
from emulator.jobs.outcome import done
from emulator.resources.quotas import service as quotas
from emulator.resources.scans import service as scans
from emulator.resources.scans.tables import Scan, ScannedInstance
from emulator.resources.users.tables import User
from scanner.errors import HostileInput

if TYPE_CHECKING:
    from emulator.resources.jobs.tables import Job
    from emulator.service import Service


def record(here: Service, user: User, name: str, folder: Path) -> tuple[Scan, Job]:
    """A scan in the group `name`, with a copy of the report in the folder. Raises `HostileInput` when that is not whole, `QuotaExceeded`, `Conflict`."""
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
        scans.check_mix(session, user, name, report.head.overlay)
        scan, job = scans.add(session, user, name, report.head.target, report.head.overlay, list(report.head.excludes))
        assert scan.id is not None
        instance = session.get_one(ScannedInstance, scan.instance_id)
        system = report.head.system
        instance.distribution, instance.version, instance.arch = system.distribution or instance.distribution, system.version, system.arch
        ledger.close(session, job, done("Recorded", exit_code=2 if report.head.blind_spots else 0))
        shutil.copytree(folder, here.folders.scan(scan.id))
    return scan, job
