"""1,000 scans, 1,000 images and 1,000 publications stored: what each list takes over HTTP, as XML and as JSON; and what polls cost."""

from __future__ import annotations

import base64
import statistics
import tempfile
import time
from pathlib import Path

import httpx

from bench.support import LOGIN, served, stopwatch, tell

EACH = 1000
ROUNDS = 15
GOAL = 50
"""ms"""
POLLS, SECONDS, SHARE = 10, 20, 2.0
"""Polls a second, for so many seconds, and the percent of one core that they may cost."""
PLACE = "/api/users/root"
LISTS = ("scannedinstances?includeScans=true", "images", "pimages")
SCAN = "scannedinstances/1/scans/1"
POLLED = {
    "image status": f"{SCAN}/images/1/status",
    "scan": SCAN,
    "groups with their scans": LISTS[0],
    "scan import status": f"{SCAN}/imports/status/?i=users/root/{SCAN}/imports/1",
    "template export status": "appliances/1/exports/1/status",
}
"""What clients ask again and again while they wait."""


def fill(data: Path) -> None:
    """Rows and folders as the service itself would have them."""
    from builders.image import Image as Made
    from builders.image import ImageFile
    from builders.spec import BuilderSpec
    from emulator.app import make_service
    from emulator.jobs import ledger
    from emulator.jobs.outcome import done
    from emulator.resources.appliances.tables import Appliance, ApplianceExport, ScanImport
    from emulator.resources.images import service as images
    from emulator.resources.publications.tables import Publication
    from emulator.resources.scans import service as scans
    from emulator.resources.scans.tables import Scan
    from emulator.settings import Settings
    from emulator.storage import stamp

    here = make_service(Settings(data=data))
    owner = here.authenticator.user("Basic " + base64.b64encode(":".join(LOGIN).encode()).decode())
    assert owner.id is not None
    made = Made(files=[ImageFile(format="qcow2", name="image.qcow2", size=10**9, sha256="0" * 64)], virtual_size=10**10, memory=1024, packages=300)
    made.provenance["packages"] = {f"package-{number}": "1.0-1" for number in range(300)}
    with here.database.write() as session:
        for number in range(EACH):
            scan, job = scans.add(session, owner, f"group {number // 10}", "docker:web", False, [])
            ledger.close(session, job, done("Successfully scanned"))
            image, _, built = images.add(session, owner, scan, BuilderSpec("OpenStack QCOW2", 12288, 1024, ("qcow2",)), {"diskSize": 12288})
            ledger.close(session, built, done("Done, created"))
            folder = here.folders.image(image.id or 0)
            folder.mkdir(parents=True)
            made.save(folder)
            sent = ledger.create(session, owner.id, "publish", "", {})
            ledger.close(session, sent, done("Published"))
            uri = images.image_uri(owner, scan, image)
            account = {"xsiType": "CredAccountOpenStack", "dbId": 1, "name": "local", "uri": "users/root/accounts/1", "created": stamp.now(), "targetPlatform": {"name": "OpenStack", "type": "openstack"}}
            asked = {"displayName": "web", "keystoneDomain": "default", "keystoneProject": "demo", "publicImage": False}
            session.add(Publication(user_id=owner.id, image_id=image.id, name="web", format=image.type, image_uri=uri, source_uri=uri.partition("/images/")[0], account=account, asked=asked, cloud_id=f"id-{number}", size=10**9, job_id=sent.id or 0, created=stamp.now()))
        scan = session.get_one(Scan, 1)
        imported, exported = (ledger.create(session, owner.id, kind, "", {}) for kind in ("scan-import", "export"))
        for ended in (imported, exported):
            ledger.close(session, ended, done("Done"))
        template = Appliance(user_id=owner.id, name="web", version="1.0", created=stamp.now(), modified=stamp.now())
        session.add(template)
        session.flush()
        session.add(ScanImport(scan_id=scan.id or 0, appliance_id=template.id, name="web", version="1.0", job_id=imported.id or 0, created=stamp.now()))
        session.add(ApplianceExport(appliance_id=template.id or 0, format="yaml", job_id=exported.id or 0, created=stamp.now()))
    here.database.close()


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="forgelet-bench-") as place:
        data = Path(place) / "data"
        fill(data)
        with served(data) as (http, service):
            tell(f"lists: {EACH} scans, {EACH} images and {EACH} publications stored")
            for path in LISTS:
                _listed(http, path)
            for kind, path in POLLED.items():
                _polled(str(http.base_url).rstrip("/"), kind, path, service)


def _listed(http: httpx.Client, path: str) -> None:
    for kind in ("xml", "json"):
        took = []
        for _ in range(ROUNDS):
            with stopwatch() as listing:
                size = len(http.get(f"{PLACE}/{path}", headers={"Accept": f"application/{kind}"}).raise_for_status().content)
            took.append(listing() * 1000)
            time.sleep(0.05)
        name = f"{path.partition('?')[0]} as {kind}"
        tell(f"  {name:<28} first {took[0]:6.1f} ms   median {statistics.median(took):6.1f} ms   ({size / 1024:.0f} KiB, goal {GOAL})")


def _polled(origin: str, kind: str, path: str, pid: int) -> None:
    """As the client polls: a new connection each time, XML."""
    place = f"{origin}{PLACE}/{path}"
    before, until = _seconds(pid), time.monotonic() + SECONDS
    count = 0
    while time.monotonic() < until:
        httpx.get(place, auth=LOGIN, headers={"Accept": "application/xml"}, trust_env=False).raise_for_status()
        count += 1
        time.sleep(1 / POLLS)
    share = 100 * (_seconds(pid) - before) / (SECONDS * count / (SECONDS * POLLS))
    tell(f"  {POLLS} polls a second: {kind:<24} {share:5.1f} % of a core (goal {SHARE})")


def _seconds(pid: int) -> float:
    """Processor time of a process so far (proc(5), stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


if __name__ == "__main__":
    main()
