"""Where things lie in the data folder. Nobody else builds such a path.

forgelet.db            the database (WAL)
journal.db             requests and events of jobs (WAL); outlives resets
tls/                   the service's own certificate and its key
secrets.key            opens the secrets in the database (0600)
lock                   held by the service that owns the folder
cache/                 outlives everything but `reset?cache=true`
scans/ID/              one report: head.json, files.ndjson.zst, overlay.tar.zst …
templates/ID/          one template: files/ (as in its archive) and scan/, hard links to the scan that it comes from
bundles/ID/            one bundle of a library: files/ (as in its archive)
exports/ID/            one export of a template: archive.tar.gz; bundle-ID/ of a bundle
uploads/               archives that wait for their import
images/ID/             one image: image.json, disks, verifications/JOB/ (fidelity.json, fidelity.html, what a check elsewhere needs)
cloud/                 the local cloud: images/UUID/, instances/UUID/
fetched/               images on their way back from a cloud
clock.json, ids.json   how time is set and numbers are seeded, where they are
seeds/NAME.json        a seed: what shall be there (`emulator/control/seeds/`)
snapshots/NAME/        the whole lab as it was (`emulator/control/snapshots/`); outlive resets
trash/                 what a reset set aside, until it is given back
jobs/ID/               log, outcome.json, work/ (only while the job runs)
"""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path

CONTENTS = ("scans", "templates", "bundles", "exports", "uploads", "images", "cloud", "fetched", "jobs")
"""What a reset empties."""
SAVED = (*CONTENTS, "seeds")
"""What a snapshot has."""


@dataclass(frozen=True, slots=True)
class Folders:
    """The data folder by its parts."""

    data: Path

    @property
    def database(self) -> Path:
        return self.data / "forgelet.db"

    @property
    def journal(self) -> Path:
        return self.data / "journal.db"

    @property
    def secrets_key(self) -> Path:
        return self.data / "secrets.key"

    @property
    def tls(self) -> Path:
        return self.data / "tls"

    @property
    def lock(self) -> Path:
        return self.data / "lock"

    @property
    def cache(self) -> Path:
        return self.data / "cache"

    @property
    def clock(self) -> Path:
        return self.data / "clock.json"

    @property
    def ids(self) -> Path:
        return self.data / "ids.json"

    @property
    def seeds(self) -> Path:
        return self.data / "seeds"

    @property
    def snapshots(self) -> Path:
        return self.data / "snapshots"

    @property
    def trash(self) -> Path:
        return self.data / "trash"

    def scan(self, scan_id: int) -> Path:
        return self.data / "scans" / str(scan_id)

    def template(self, appliance_id: int) -> Path:
        return self.data / "templates" / str(appliance_id)

    def bundle(self, bundle_id: int) -> Path:
        return self.data / "bundles" / str(bundle_id)

    def export(self, export_id: int) -> Path:
        return self.data / "exports" / str(export_id)

    def bundle_export(self, export_id: int) -> Path:
        return self.data / "exports" / f"bundle-{export_id}"

    def upload(self, import_id: int) -> Path:
        """Where the archive of an import waits for its job."""
        return self.data / "uploads" / f"{import_id}.tar.gz"

    def bundle_upload(self, import_id: int) -> Path:
        return self.data / "uploads" / f"bundle-{import_id}.tar.gz"

    @property
    def images(self) -> Path:
        """Of machine images, one folder each."""
        return self.data / "images"

    def image(self, image_id: int) -> Path:
        return self.images / str(image_id)

    def verification(self, image_id: int, job_id: int) -> Path:
        """The folder of one proof."""
        return self.image(image_id) / "verifications" / str(job_id)

    @property
    def cloud(self) -> Path:
        return self.data / "cloud"

    @property
    def returns(self) -> Path:
        """Of images that came back from their clouds, kept for a while; parts of them end in `.partial`."""
        return self.data / "fetched"

    def fetched(self, publication_id: int, cloud_id: str) -> Path:
        """Where an image is put that comes back from its cloud. Publications' numbers are given again, so the image's own counts too."""
        return self.returns / f"{publication_id}-{hashlib.sha256(cloud_id.encode()).hexdigest()[:16]}"

    @property
    def jobs(self) -> Path:
        return self.data / "jobs"

    def job(self, job_id: int) -> Path:
        return self.jobs / str(job_id)

    def log(self, job_id: int) -> Path:
        return self.job(job_id) / "log"

    def work(self, job_id: int) -> Path:
        return self.job(job_id) / "work"

    def exchange(self, job_id: int) -> Path:
        """Where the job of a scan and an agent that reports by itself meet (`scanner/targets/exchange.py`)."""
        return self.work(job_id) / "agent"

    def outcome(self, job_id: int) -> Path:
        return self.job(job_id) / "outcome.json"

    def make(self) -> None:
        """Make what is missing, readable by the owner only: overlays hold password hashes and keys."""
        self.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name in ("cache", "trash", "snapshots", *SAVED):
            (self.data / name).mkdir(exist_ok=True, mode=0o700)

    def discard(self, folder: Path) -> None:
        """Remove one folder of a scan, template, export or image; that it is not there does not matter."""
        shutil.rmtree(folder, ignore_errors=True)

    def contents(self, *, cache: bool = False) -> list[Path]:
        """The folders that a reset empties."""
        return [self.data / name for name in (*CONTENTS, *(["cache"] if cache else []))]
