"""Proofs of an image: begin one, tell the last one, hand its page and its evidence out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emulator.errors import Conflict, Forbidden
from emulator.jobs import ledger
from emulator.jobs.kinds import State
from emulator.resources.images.service import Found, image_uri
from emulator.resources.jobs.tables import Job
from emulator.resources.scans.tables import Scan
from emulator.resources.users.tables import User
from emulator.service import Service
from scanner.errors import NotFound
from scanner.targets import opened

if TYPE_CHECKING:
    from scanner.targets.access import Access

REPORT, PAGE, BUNDLE = "fidelity.json", "fidelity.html", ".evidence.tar.gz"


def begin(here: Service, user: User, found: Found, probes: Sequence[str] = (), source: str = "", *, strict: bool = False, access: Access | None = None) -> Job:
    """Queue a proof of the image. Raises `Conflict` when it is not finished, `UserError`, `NotFound` or `Unreachable` for probes and source."""
    image, scan, job = found
    assert image.id is not None and user.id is not None
    if not isinstance(scan, Scan):
        raise Conflict(f"image {image.id} was made from a template: there is no live system to prove it against", hint="build and verify the scan")
    if job.state != State.DONE:
        raise Conflict(f"image {image.id} cannot be verified: it is {job.state}", hint=f"forgelet job show {job.id}")
    if not source:
        source = scan.target if probes else ""
        # Whoever did not name the source need not know whether it takes a login.
        access = access if source.startswith("ssh:") else None
    _check(here, user, probes, source, access)
    arguments = {"image": image.id, "scan": scan.id, "probes": list(probes), "source": source, "strict": strict, "entrusted": access is not None}
    with here.database.write() as session:
        made = ledger.create(session, user.id, "verify", image_uri(user, scan, image), arguments)
        if access is not None and made.id is not None:
            # Before the job can be seen, and so be started, by anybody.
            here.queue.entrust(made.id, access.revealed())
    here.queue.submit()
    return made


def _check(here: Service, user: User, probes: Sequence[str], source: str, access: Access | None) -> None:
    from builders.probes import Command, parse

    commands = [probe for probe in parse(probes) if isinstance(probe, Command)]
    if commands and not user.admin and not source.startswith("ssh:"):
        raise Forbidden("a command on the engines of this machine runs as root there: only an administrator may ask for it", hint="leave out the probes that begin with cmd:")
    if probes or source:
        with opened(here.rooms.target(source, access)) as target:
            target.facts()


def last(here: Service, image_id: int) -> tuple[int, Path]:
    """Number of the last proof's job, and its folder. Raises `NotFound`."""
    folder = here.folders.verification(image_id, 0).parent
    numbers = sorted(int(path.name) for path in folder.iterdir() if path.name.isdecimal()) if folder.is_dir() else []
    if not numbers:
        raise NotFound(f"image {image_id} was never verified", hint=f"forgelet image verify --id {image_id}")
    return numbers[-1], here.folders.verification(image_id, numbers[-1])


def tell(here: Service, image_id: int) -> dict[str, Any]:
    """What the last proof found (`builders.image.Fidelity`), and the number of its job. Raises `NotFound`."""
    number, folder = last(here, image_id)
    return {"jobId": number, **json.loads((folder / REPORT).read_bytes())}


def page(here: Service, image_id: int) -> Path:
    """The same as a page for a browser. Raises `NotFound`."""
    return last(here, image_id)[1] / PAGE


def bundle(here: Service, found: Found) -> Path:
    """The evidence of the image's last proof as one archive, made anew. Raises `NotFound`."""
    from builders.proof.evidence import Case, pack

    image, _, built = found
    assert image.id is not None and built.id is not None
    number, proof = last(here, image.id)
    assert image.scan_id is not None, "only what was scanned can be proven"
    logs = {"build.log": here.folders.log(built.id), "verify.log": here.folders.log(number)}
    archive = proof.parent / f"{number}{BUNDLE}"
    pack(Case(image.id, here.folders.scan(image.scan_id), here.folders.image(image.id), proof, image.spec, logs), archive)
    return archive
