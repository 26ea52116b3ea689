"""What is kept of the copy when its disk is gone: enough to compare again, anywhere.

    copy/head.json, files.ndjson.zst     the copy's report
    attested.json                        what only the disk could answer (`copydisk.Attested`)
"""

from __future__ import annotations

import shutil
from pathlib import Path

from builders.copydisk import Attested, Copy, Disk, Mounted, Recorded
from builders.image import Image
from builders.origins import record
from scanner.report import Report

TABLE = ("head.json", "files.ndjson.zst")


def copy_of(folder: Path, report: Report, disk: Disk) -> Copy:
    """The copy as the comparison wants it: what the record of the image in `folder` says was added, written, translated and replaced.

    Raises `OlderImage`.
    """
    image = Image.load(folder)
    done = image.provenance.get("last_pass", {})
    added = {addition.item for addition in image.additions}
    return Copy(report, disk, added, record(folder), done.get("accounts", {}), done.get("translated", {}), image.nearest)


def save(folder: Path, copy: Copy) -> None:
    """Write it down, while the disk is still mounted."""
    assert isinstance(copy.disk, Mounted)
    (folder / "copy").mkdir(parents=True, exist_ok=True)
    for name in TABLE:
        shutil.copyfile(copy.report.folder / name, folder / "copy" / name)
    (folder / "attested.json").write_text(copy.disk.attested.model_dump_json(indent=1), encoding="utf-8")


def load(folder: Path, image: Path) -> Copy:
    """The copy again; `image` is the folder of the image's records. Raises FileNotFoundError, ValueError, `OlderImage`."""
    return copy_of(image, Report(folder / "copy"), Recorded(attested(folder)))


def attested(folder: Path) -> Attested:
    """What is taken on the proof's word."""
    return Attested.model_validate_json((folder / "attested.json").read_bytes())
