"""A finished image in a running service without a build: the smallest disk that boots, in the place of what a build would have made."""

from __future__ import annotations

import builtins
import io
import json
import tarfile
from pathlib import Path
from typing import Any

from sqlmodel import select
from support.service import Service
from support.tinydisk import image_folder

from builders.spec import BuilderSpec
from emulator.folders import Folders
from emulator.jobs import ledger
from emulator.jobs.outcome import done
from emulator.resources.appliances.tables import Appliance
from emulator.resources.images import service as images
from emulator.resources.scans.tables import Scan
from emulator.resources.users.tables import User
from emulator.storage import tables  # noqa: F401
from emulator.storage.engine import Database

STACK = {"name": "planted", "version": "1.0", "os": {"name": "Debian", "version": "12", "arch": "x86_64"}}


def planted_tree(tree: Path) -> Path:
    """The same folder, filled with the least of a Debian 12 from which a scan can be imported and built: one package, which it has no file of."""
    for name, text in {
        "etc/os-release": 'ID=debian\nNAME="Debian GNU/Linux"\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\n',
        "var/lib/dpkg/status": "Package: hello\nStatus: install ok installed\nArchitecture: amd64\nVersion: 2.10-3\n",
        "var/lib/dpkg/arch": "amd64\n",
    }.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
    return tree


def planted_image(service: Service, tree: Path, format: str = "raw", type: str = "openstack") -> dict[str, Any]:
    """The image as the service tells it; `tree` is scanned for it."""
    (tree / "etc").mkdir(parents=True, exist_ok=True)
    (tree / "etc/os-release").write_text('ID=debian\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\n')
    scan = service.scan(tree, "planted")
    assert service.ended(scan["jobId"])["state"] == "done"
    return _planted(service, Scan, scan["dbId"], format, type, {})


def planted_template(service: Service, stack: dict[str, Any] = STACK) -> dict[str, Any]:
    """A template with nothing but its stack section, as the service tells it; it comes in as an archive, as every template does."""
    out, document = io.BytesIO(), json.dumps({"stack": stack, "builders": None}).encode()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        info = tarfile.TarInfo("template.json")
        info.size = len(document)
        tar.addfile(info, io.BytesIO(document))
    place = f"/api/users/root/imports/{service.http.post('/api/users/root/imports').json()['dbId']}"
    assert service.http.post(f"{place}/uploads", content=out.getvalue()).status_code == 201
    assert service.ended(service.http.get(place).json()["jobId"])["state"] == "done"
    told: dict[str, Any] = service.http.get(f"/api/{service.http.get(place).json()['referenceUri']}").json()
    return told


def planted_template_image(
    service: Service, template: dict[str, Any], format: str = "qcow2", type: str = "OpenStack QCOW2", profile: dict[str, Any] | None = None
) -> dict[str, Any]:
    """A finished image of the template; `profile` is what its builder asked for."""
    return _planted(service, Appliance, template["dbId"], format, type, profile or {})


def _planted(service: Service, kind: builtins.type[Scan | Appliance], source: int, format: str, type: str, profile: dict[str, Any]) -> dict[str, Any]:
    folders = Folders(service.data)
    database = Database(folders.database)
    with database.write() as session:
        user = session.exec(select(User).where(User.login == "root")).one()
        image, _, job = images.add(session, user, session.get_one(kind, source), BuilderSpec(type, 64, 64, (format,)), profile)
        ledger.close(session, job, done("Done, created"))
        number = image.id
    database.close()
    image_folder(folders.image(number or 0), format)
    told: dict[str, Any] = service.http.get(f"/api/users/root/images/{number}").json()
    assert told["status"]["complete"]
    return told
