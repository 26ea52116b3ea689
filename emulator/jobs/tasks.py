"""What the kinds of jobs do. The heavy rooms are imported here, in the job's process, when they are used.

A task makes its result whole in `work/result`; the service moves it into place when the job is over (`settle.py`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlmodel import Session, col, select

from emulator.folders import Folders
from emulator.jobs import bundles, clouds, templates
from emulator.jobs.kinds import State
from emulator.jobs.outcome import Outcome, done
from emulator.jobs.room import fits
from emulator.resources.jobs.tables import Job
from emulator.resources.scans.tables import Scan, ScannedInstance
from emulator.storage.engine import Database
from scanner.progress import Progress

if TYPE_CHECKING:
    from scanner.report import Report
    from scanner.scan import Chooser
    from scanner.targets.base import Target


@dataclass(frozen=True, slots=True)
class Assignment:
    """One job, with everything that a task may use."""

    job: Job
    folders: Folders
    database: Database
    progress: Progress
    secret: str = field(default="", repr=False)
    """What was entrusted to the job, in no file and no row: for a scan, the access to its live system."""

    @property
    def arguments(self) -> dict[str, Any]:
        return self.job.arguments

    @property
    def work(self) -> Path:
        assert self.job.id is not None
        return self.folders.work(self.job.id)

    @property
    def result(self) -> Path:
        """The folder to be filled, made empty."""
        folder = self.work / "result"
        folder.mkdir(parents=True, exist_ok=True)
        return folder


Task = Callable[[Assignment], Outcome]


def scan(todo: Assignment) -> Outcome:
    """Scan the live system `arguments.target`. Exit code 2 when something could not be read."""
    from builders.capture import chooser
    from scanner.redact import redacting
    from scanner.scan import scan as scan_target
    from scanner.targets import opened

    choose = _telling(todo, chooser(todo.folders.cache, whole=bool(todo.arguments.get("whole")), log=todo.progress.log)) if todo.arguments["overlay"] else None
    if choose and todo.arguments.get("redact"):
        choose = redacting(choose)
    with opened(_target(todo)) as target:
        report = scan_target(target, todo.result, todo.progress, choose=choose, excludes=_excludes(todo), known=_known(todo))
    tell_distribution(todo, report)
    fits(todo)
    return scanned(len(report.head.blind_spots))


def _target(todo: Assignment) -> Target:
    from scanner.targets import open_target
    from scanner.targets.exchange import Exchange
    from scanner.targets.posted import PostedTarget

    label = todo.arguments["target"]
    if label.startswith("agent:"):
        assert todo.job.id is not None
        return PostedTarget(label, Exchange(todo.folders.exchange(todo.job.id)), todo.progress.log, silence=todo.arguments["silence"])
    if not todo.secret:
        return open_target(label, log=todo.progress.log, work=todo.work / "target", volumes=todo.arguments.get("volumes", False))
    from scanner.targets.access import Access

    return open_target(label, Access.parse(todo.secret), todo.progress.log)


def _known(todo: Assignment) -> Path | None:
    """What the last scan of the same live system left behind, whoever asked for it; None when it is not to be used, or there is none."""
    from scanner.scan import KNOWN

    if todo.arguments.get("fresh"):
        return None
    with todo.database.read() as session:
        same = select(Scan.id).join(Job, col(Job.id) == Scan.job_id).where(Scan.target == todo.arguments["target"], Job.state == State.DONE)
        last = session.exec(same.order_by(col(Scan.id).desc()).limit(1)).first()
    kept = todo.work / KNOWN
    try:
        # A name of its own: the other scan may be deleted while this one reads.
        os.link(todo.folders.scan(last or 0) / KNOWN, kept)
    except OSError:
        return None
    return kept


def _excludes(todo: Assignment) -> list[str]:
    """What the user leaves out, and of this machine itself what the scan writes while it reads."""
    asked: list[str] = todo.arguments["exclude"]
    return [*asked, str(todo.folders.data.resolve())] if todo.arguments["target"] == "local" else asked


def scanned(blind_spots: int) -> Outcome:
    """How a scan ends that could not read so many places."""
    if blind_spots:
        return done(f"Successfully scanned, with {blind_spots} blind spots", exit_code=2)
    return done("Successfully scanned")


def _telling(todo: Assignment, choose: Chooser) -> Chooser:
    def told(report: Report) -> Any:
        tell_distribution(todo, report)
        return choose(report)

    return told


def tell_distribution(todo: Assignment, report: Report) -> None:
    """Write down what the group's machine is, as soon as the inventory says so."""
    system = report.head.system
    with todo.database.write() as session:
        _name(session, todo.arguments["instance"], system.distribution, system.version, system.arch)


def _name(session: Session, instance_id: int, distribution: str, version: str, arch: str) -> None:
    instance = session.get(ScannedInstance, instance_id)
    if instance is not None and distribution:
        instance.distribution, instance.version, instance.arch = distribution, version, arch


def build(todo: Assignment) -> Outcome:
    """Build the image that `arguments.spec` asks for from the scan `arguments.scan`."""
    from builders.spec import BuilderSpec
    from emulator.rooms import platform

    spec = BuilderSpec(**{**todo.arguments["spec"], "formats": tuple(todo.arguments["spec"]["formats"])})
    if "appliance" in todo.arguments:
        outcome = templates.build(todo, spec)
    else:
        report = todo.folders.scan(todo.arguments["scan"])
        platform(spec.type).build(report, spec, todo.result, todo.work, todo.folders.cache, todo.progress)
        outcome = done("Done, created")
    fits(todo)
    return outcome


def verify(todo: Assignment) -> Outcome:
    """Prove that the image `arguments.image` is its source. Exit code 4 when it is not."""
    from builders.proof.page import page
    from builders.verify import verify as prove
    from scanner.targets.access import Access

    asked = todo.arguments
    fidelity = prove(
        todo.folders.scan(asked["scan"]),
        todo.folders.image(asked["image"]),
        todo.work,
        todo.progress,
        probes=asked["probes"],
        source=asked["source"],
        access=Access.parse(todo.secret) if todo.secret else None,
        keep=todo.result,
        strict=bool(asked.get("strict")),
    )
    (todo.result / "fidelity.json").write_text(fidelity.model_dump_json(by_alias=True), encoding="utf-8")
    (todo.result / "fidelity.html").write_text(page(fidelity), encoding="utf-8")
    if fidelity.faithful:
        return done("The copy is the source")
    if fidelity.unexplained or not fidelity.strict:
        return done(f"{fidelity.unexplained} unexplained differences", exit_code=4)
    return done(f"{fidelity.explained} explained differences, which count here (strict)", exit_code=4)


TASKS: Mapping[str, Task] = {
    "scan": scan,
    "build": build,
    "verify": verify,
    "export": templates.export,
    "import": templates.read,
    "scan-import": templates.from_scan,
    "bundle-export": bundles.export,
    "bundle-import": bundles.read,
    "publish": clouds.publish,
    "provision": clouds.provision,
}
