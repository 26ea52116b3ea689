"""/_forgelet/reports: a recorded report becomes a scan of whoever sends it."""

from __future__ import annotations

import shutil
import tarfile
import uuid
from pathlib import Path
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Query, Request, Response

from emulator.resources.quotas import service as quotas
from emulator.resources.scans.recorded import record
from emulator.resources.scans.service import tell_scan
from emulator.resources.uploads import save
from emulator.resources.users.tables import User
from emulator.service import Service, TheService, TheUser
from emulator.wire.answer import ours
from scanner.errors import HostileInput, UserError

router = APIRouter(prefix="/reports")


@router.post("")
async def take(request: Request, here: TheService, asking: TheUser, name: Annotated[str, Query(min_length=1, max_length=100)]) -> Response:
    """A scan of the group `name` from the folder of a scan (head.json, files.ndjson.zst, overlay.tar.zst ...) as a tar archive, compressed by gzip,
    bzip2 or xz or not at all."""
    place = here.folders.data / "uploads" / f"report-{uuid.uuid4().hex}"
    packed = place.with_suffix(".tar")
    try:
        most = await to_thread.run_sync(quotas.left, here, asking)
        sent = await save(request, packed, most)
        if sent > most:
            raise quotas.used_up(asking, "diskusage", f"the archive has {sent} bytes, and {max(0, int(most))} are left")
        return ours("scan", await to_thread.run_sync(_taken, here, asking, name, packed, place), 201)
    finally:
        packed.unlink(missing_ok=True)
        shutil.rmtree(place, ignore_errors=True)


def _taken(here: Service, asking: User, name: str, packed: Path, place: Path) -> dict[str, object]:
    if not name.isprintable():
        raise UserError("the name of a scan must be printable")
    scan, job = record(here, asking, name, _unpacked(packed, place))
    return tell_scan(asking, scan, job)


def _unpacked(packed: Path, place: Path) -> Path:
    """The report's folder: the archive's top, or the one folder in it. No member gets out of it, and none is a device (PEP 706). Raises `HostileInput`."""
    place.mkdir(mode=0o700)
    try:
        with tarfile.open(packed) as tar:
            tar.extractall(place, filter="data")
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        raise HostileInput(f"this is no archive of a report: {error}", hint="tar czf report.tar.gz -C FOLDER .") from error
    inside = list(place.iterdir())
    return inside[0] if len(inside) == 1 and inside[0].is_dir() and not inside[0].is_symlink() else place
