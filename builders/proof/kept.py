"""What is kept of the copy when its disk is gone: enough to compare again, anywhere.

    copy/head.json, files.ndjson.zst     the copy's report
    lists/NAME.list                      what the added packages list; its digest stands in the copy's file table
    attested.json                        what only the disk could answer (`copydisk.Attested`)
"""

from __future__ import annotations

import shutil
from pathlib import Path

from builders.copydisk import Attested, Disk, Mounted, Recorded
from builders.fidelity import Copy
from builders.image import Image
from scanner.report import Report

INFO = "/var/lib/dpkg/info/"
TABLE = ("head.json", "files.ndjson.zst")


def copy_of(image: Image, report: Report, disk: Disk) -> Copy:
    """The copy as the comparison wants it: what the image's own record says was added, translated and replaced."""
    done = image.provenance.get("last_pass", {})
    added = {addition.item for addition in image.additions}
    return Copy(report, disk, added, done.get("translated", {}), done.get("written", {}), image.nearest)


def save(folder: Path, copy: Copy) -> None:
    """Write it down, while the disk is still mounted."""
    assert isinstance(copy.disk, Mounted)
    for name in ("copy", "lists"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for name in TABLE:
        shutil.copyfile(copy.report.folder / name, folder / "copy" / name)
    for path, text in copy.disk.lists(copy.added).items():
        (folder / "lists" / path.removeprefix(INFO)).write_bytes(text)
    (folder / "attested.json").write_text(copy.disk.attested.model_dump_json(indent=1), encoding="utf-8")


def load(folder: Path, image: Image) -> Copy:
    """The copy again. Raises FileNotFoundError, ValueError."""
    report = Report(folder / "copy")
    lists = {f"{INFO}{one.name}": one.read_bytes() for one in sorted((folder / "lists").iterdir())}
    return copy_of(image, report, Recorded(report, lists, attested(folder)))


def attested(folder: Path) -> Attested:
    """What is taken on the proof's word."""
    return Attested.model_validate_json((folder / "attested.json").read_bytes())
