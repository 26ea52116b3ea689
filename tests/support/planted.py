"""A finished image in a running service without a build: the smallest disk that boots, in the place of what a build would have made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlmodel import select
from support.service import Service
from support.tinydisk import image_folder

from builders.spec import BuilderSpec
from emulator.folders import Folders
from emulator.jobs import ledger
from emulator.jobs.outcome import done
from emulator.resources.images import service as images
from emulator.resources.scans.tables import Scan
from emulator.resources.users.tables import User
from emulator.storage import tables  # noqa: F401
from emulator.storage.engine import Database


def planted_image(service: Service, tree: Path, format: str = "raw", type: str = "openstack") -> dict[str, Any]:
    """The image as the service tells it; `tree` is scanned for it."""
    (tree / "etc").mkdir(parents=True, exist_ok=True)
    (tree / "etc/os-release").write_text('ID=debian\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\n')
    scan = service.scan(tree, "planted")
    assert service.ended(scan["jobId"])["state"] == "done"
    folders = Folders(service.data)
    database = Database(folders.database)
    with database.write() as session:
        user = session.exec(select(User).where(User.login == "root")).one()
        image, _, job = images.add(session, user, session.get_one(Scan, scan["dbId"]), BuilderSpec(type, 64, 64, (format,)), {})
        ledger.close(session, job, done("Done, created"))
        number = image.id
    database.close()
    image_folder(folders.image(number or 0), format)
    told: dict[str, Any] = service.http.get(f"/api/users/root/images/{number}").json()
    assert told["status"]["complete"]
    return told
