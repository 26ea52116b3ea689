"""Listing 1,000 images and 1,000 publications over HTTP, as JSON and as XML."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import httpx

from bench.listing import GOAL, LOGIN, QUIET, SCANS, fill, report
from bench.support import ready, stopwatch, tell

PACKAGES = 230
"""As many as the image of a small server has."""
LISTS = {"images": "/api/users/root/images", "publications": "/api/users/root/pimages"}
FORMATS = ("application/json", "application/xml")


def fill_images(data: Path) -> None:
    """An image of each scan, finished, and its publication, as the service itself would write them."""
    from sqlmodel import select

    from emulator.app import make_service
    from emulator.jobs import ledger
    from emulator.jobs.kinds import State
    from emulator.resources.images.tables import Image
    from emulator.resources.publications.tables import Publication
    from emulator.resources.scans.tables import Scan
    from emulator.settings import Settings
    from emulator.storage import stamp

    here = make_service(Settings(data=data))
    owner = here.authenticator.user("Basic " + base64.b64encode(b":".join(LOGIN)).decode()).id
    assert owner is not None
    with here.database.write() as session:
        for scan in session.exec(select(Scan)).all():
            jobs = [ledger.create(session, owner, kind, "", {"conditions": []}) for kind in ("build", "publish")]
            for job in jobs:
                job.state, job.percent, job.message, job.exit_code = State.DONE, 100, "Done", 0
            built, sent = (job.id for job in jobs)
            assert built is not None and sent is not None
            image = Image(user_id=owner, scan_id=scan.id, name=scan.name, type="openstack", disk_size=2000, memory=1024, job_id=built, created=stamp.now())
            session.add(image)
            session.flush()
            assert image.id is not None
            here.folders.image(image.id).mkdir(parents=True)
            (here.folders.image(image.id) / "image.json").write_text(json.dumps(_record()))
            place = f"users/root/scannedinstances/{scan.instance_id}/scans/{scan.id}"
            told = {"name": "local", "uri": "users/root/accounts/1", "dbId": 1, "xsiType": "CredAccountOpenStack"}
            more = {"image_uri": f"{place}/images/{image.id}", "source_uri": place, "account": told, "size": 10**9, "sha512": "0" * 128}
            session.add(Publication(user_id=owner, image_id=image.id, name=scan.name, format="OpenStack QCOW2", job_id=sent, created=stamp.now(), **more))
    here.database.close()


def _record() -> dict[str, object]:
    file = {"name": "image.qcow2", "format": "qcow2", "size": 300 << 20, "sha256": "0" * 64}
    return {
        "files": [file],
        "virtual_size": 2000 << 20,
        "memory": 1024,
        "packages": PACKAGES,
        "additions": [{"item": f"package-{number}", "reason": "needed by an added package"} for number in range(PACKAGES // 2)],
        "not_brought": {},
        "nearest": {},
        "base_from_cache": True,
        "stages": {"plan": 0.2, "base": 85.4, "last-pass": 2.2},
        "provenance": {"packages": [f"package-{number}=1.0-{number}" for number in range(PACKAGES)]},
    }


def measure(data: Path) -> None:
    argv = [sys.executable, "-m", "cli.main", "serve", "--port", "0", "--data", str(data)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, start_new_session=True) as service:
        try:
            assert service.stdout
            origin = next(word for word in service.stdout.readline().split() if word.startswith("http://")).removesuffix("/api")
            with httpx.Client(base_url=origin, auth=LOGIN, timeout=30, trust_env=False) as http:
                ready(http)
                for what, place in LISTS.items():
                    for media in FORMATS:
                        report(f"{what}, {media}", _listed(http, place, media))
        finally:
            service.terminate()


def _listed(http: httpx.Client, place: str, media: str) -> list[float]:
    """Milliseconds of each listing; the first, which reads every image's record, is not one of them."""
    took = []
    for _ in range(QUIET + 1):
        with stopwatch() as listing:
            answer = http.get(place, headers={"Accept": media}).raise_for_status()
        took.append(listing() * 1000)
    assert len(answer.content) > 100 * SCANS
    return took[1:]


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="forgelet-bench-") as place:
        data = Path(place) / "data"
        fill(data, 100)
        fill_images(data)
        tell(f"lists: {SCANS} images and {SCANS} publications stored (goal {GOAL} ms)")
        measure(data)


if __name__ == "__main__":
    main()
