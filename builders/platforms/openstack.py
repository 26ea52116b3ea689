"""OpenStack: the image that Glance takes and Nova boots."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from builders import origins
from builders import plan as plans
from builders.base import Base, base_for
from builders.bootable import written
from builders.epoch import source_date
from builders.errors import BuildFailed
from builders.formats import check_file_system, check_image, convert, sha256
from builders.image import Addition, Image
from builders.lastpass import Job
from builders.plan import BuildPlan
from builders.rehearsal import Rehearsal
from builders.rehearse import rehearse
from builders.room import told_when_full, why_full
from builders.spec import BuilderSpec
from builders.stages import Stages
from builders.tools import versions
from scanner.errors import CommandFailed
from scanner.host.disks import root_of
from scanner.host.run import run
from scanner.progress import Progress
from scanner.report import Report


class Openstack:
    """The platform behind `type: openstack`."""

    def rehearse(self, report: Report, specs: Sequence[BuilderSpec], cache: Path) -> list[Rehearsal]:
        """See `Platform.rehearse`."""
        return rehearse(report, specs, cache)

    def build(self, scan: Path, spec: BuilderSpec, into: Path, work: Path, cache: Path, progress: Progress) -> Image:
        """See `Platform.build`. Stages: `plan`, `base`, `last-pass`, `convert`, `check`."""
        return make(Making(scan, lambda: plans.make_plan(Report(scan), spec, cache), provenance={"spec": asked(spec)}), into, work, cache, progress)


def asked(spec: BuilderSpec) -> dict[str, Any]:
    """The spec as an image's provenance tells it: what decides about the disk, and nothing of publishing."""
    return {key: value for key, value in asdict(spec).items() if key not in ("publishing", "line")}


@dataclass(frozen=True, slots=True)
class Making:
    """What an image is made of."""

    scan: Path | None
    plan: Callable[[], BuildPlan]
    finish: Callable[[Path, Base], None] | None = None
    """Called with the disk and its base when the last pass is over."""
    provenance: Mapping[str, Any] = field(default_factory=dict)


def make(making: Making, into: Path, work: Path, cache: Path, progress: Progress) -> Image:
    """The image, in folder `into`. Raises `BuildFailed`, `MissingTool`, `Cancelled`."""
    with told_when_full(work):
        return _made(making, into, work, cache, progress)


def _made(making: Making, into: Path, work: Path, cache: Path, progress: Progress) -> Image:
    clock = Stages(progress)
    outcome: dict[str, Any] = {}
    with clock.stage("plan", 2, "Planning"):
        plan = making.plan()
        (into / "plan.json").write_text(plan.model_dump_json(indent=1), encoding="utf-8")
    with clock.stage("base", 8, "Preparing the base disk"):
        base = base_for(plan, making.scan or work, work, cache, progress)
    with clock.stage("last-pass", 70, "Applying the overlay"):
        disk = base.disk
        if making.scan is not None:
            outcome = last_pass(disk, making.scan, into / "plan.json", base, plan, work)
        if making.finish is not None:
            making.finish(disk, base)
        if making.scan is not None and outcome["flagged"]:
            outcome["flags"] = set_flags(disk, making.scan, work)
        check_file_system(disk)
        progress.log(f"last pass: {json.dumps(outcome)}")
    with clock.stage("convert", 82, "Writing the image"):
        files = [convert(disk, format, into, compression=plan.compression, compat=plan.compat) for format in plan.formats]
        disk.unlink()
    with clock.stage("check", 94, "Checking the image"):
        for file in files:
            check_image(into / file.name, file.format, plan.disk_size * 2**20, work / f"check-{file.format}")
    image = Image(
        files=files,
        virtual_size=plan.disk_size * 2**20,
        memory=plan.memory,
        packages=len(base.installed),
        additions=_additions(plan, base),
        not_brought=plan.not_brought,
        nearest={one.name: one.nearest for one in plan.packages if one.nearest},
        base_from_cache=base.cached,
        stages=clock.seconds,
        provenance={**_provenance(making.scan, plan, base, outcome), **_recorded(into), **making.provenance},
    )
    image.save(into)
    return image


def last_pass(disk: Path, scan: Path, plan_file: Path, base: Base, plan: BuildPlan, work: Path) -> dict[str, Any]:
    """Run `builders/lastpass.py` as root on the mounted disk; answers what it did. Raises `BuildFailed`."""
    with root_of(disk, "raw", work, writable=True) as root:
        record = plan_file.parent / origins.FILE
        job = Job(str(root), str(scan), str(plan_file), str(base.log), added_packages(plan, base), base.begun, source_date(), str(record), str(base.contents))
        job_file = work / "last-pass.json"
        job_file.write_text(json.dumps(asdict(job)))
        try:
            done = run([sys.executable, "-P", "-m", "builders.lastpass", str(job_file)], root=True, env=own_path())
        except CommandFailed as error:
            if full := why_full(work, error.stderr):
                raise full from error
            raise BuildFailed(f"the last pass failed: {error.stderr.strip().splitlines()[-1]}\n{error.stderr}", hint="forgelet job log ID shows the whole story") from error
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def set_flags(disk: Path, scan: Path, work: Path) -> dict[str, Any]:
    """Run `builders/inodeflags.py` as root on the mounted disk; answers what it did. Raises `BuildFailed`."""
    with root_of(disk, "raw", work, writable=True) as root:
        try:
            done = run([sys.executable, "-P", "-m", "builders.inodeflags", str(root), str(scan)], root=True, env=own_path())
        except CommandFailed as error:
            raise BuildFailed(f"the inode flags cannot be set: {error.stderr.strip()[-300:]}", hint="forgelet job log ID shows the whole story") from error
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def own_path() -> dict[str, str]:
    """The environment in which a root process finds our modules."""
    return {"PYTHONPATH": str(Path(__file__).parents[2])}


def added_packages(plan: BuildPlan, base: Base) -> list[str]:
    """Names of the packages on the base that the source does not have."""
    theirs = {(package.name, package.arch) for package in plan.packages}
    rows = (row.split(" ") for row in base.installed)
    return sorted(name for name, arch, _ in rows if (name, arch) not in theirs)


def _additions(plan: BuildPlan, base: Base) -> list[Addition]:
    asked = {addition.item for addition in plan.additions}
    pulled = [Addition(item=name, reason="needed by an added package") for name in added_packages(plan, base) if name not in asked]
    return [*plan.additions, *plan.substitutes, *pulled, *written(plan)]


def _recorded(folder: Path) -> dict[str, str]:
    """The sha256 of the record of what is the build's own, where the build wrote one."""
    file = folder / origins.FILE
    return {"origins": sha256(file)} if file.exists() else {}


def _provenance(scan: Path | None, plan: BuildPlan, base: Base, outcome: dict[str, Any]) -> dict[str, Any]:
    head = Report(scan).head if scan is not None else None
    return {
        **({"source": head.target, "scan_digest": head.digest, "scanned": head.created} if head else {}),
        "codename": plan.codename,
        "base": base.key,
        "last_pass": outcome,
        "tools": {**versions("forgelet", "qemu-img"), **base.tools},
        "source_date": source_date(),
        "packages": base.installed,
    }
