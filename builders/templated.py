"""The build of a template: its scan as it is or edited, or a fresh system; then what the template sets up."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from builders import plan as plans
from builders.archive import Archive
from builders.base import Base
from builders.customize import Job
from builders.edits import PackageEdits, package_edits, without
from builders.errors import BuildFailed
from builders.image import Addition, Image
from builders.plan import BuildPlan
from builders.platforms.openstack import Making, asked, make, own_path
from builders.rehearsal import Rehearsal
from builders.rehearse import Rehearser
from builders.room import why_full
from builders.scratch import scratch_plan
from builders.spec import BuilderSpec
from builders.stack import Stack, parse_document
from builders.template import Template
from scanner.errors import CommandFailed
from scanner.host.disks import root_of
from scanner.host.run import run
from scanner.progress import Progress
from scanner.report import Report


def build_template(template: Template, spec: BuilderSpec, into: Path, work: Path, cache: Path, progress: Progress) -> Image:
    """Make the image of the template in folder `into`. Stages and errors as `Platform.build`."""
    template = replace(template, stack=swapped(template.stack, spec))
    scan = template.scan
    wishes = template.stack.system.packages
    edits = package_edits(Report(scan).head, wishes, template.stack.bundled) if scan is not None else None
    if scan is not None and edits:
        progress.log(f"packages taken out: {', '.join(p.name for p in edits.removed) or 'none'}; put in: {', '.join(w.apt for w in edits.added) or 'none'}")
        scan = without(scan, edits, work / "edited")

    def plan() -> BuildPlan:
        return scratch_plan(template.stack, spec, cache) if scan is None else _planned(Report(scan), edits, spec, cache)

    def finish(disk: Path, base: Base) -> None:
        _customize(template, scan is None, disk, into / "plan.json", base, work, cache)

    source = {"template": template.stack.name, "template_version": template.stack.version, "spec": asked(spec)}
    untouched = scan is not None and plain(template.stack)
    return make(Making(scan, plan, None if untouched else finish, source), into, work, cache, progress)


def _planned(report: Report, edits: PackageEdits | None, spec: BuilderSpec, cache: Path) -> BuildPlan:
    """The plan of the scan, without the packages that were taken out and with those that were put in."""
    made = plans.make_plan(report, spec, cache)
    gone = {package.name for package in edits.removed} if edits else set()
    made.packages = [package for package in made.packages if package.name not in gone]
    for wish in edits.added if edits else ():
        made.additions.append(Addition(item=wish.name, reason="the template asks for it"))
        made.wanted.append(wish.apt)
    return made


def rehearse(template: Template, spec: BuilderSpec, cache: Path) -> BuildPlan:
    """The plan alone: what a simulated build leaves behind. Raises `BuildFailed` for what cannot be had."""
    if template.scan is None:
        return scratch_plan(template.stack, spec, cache)
    report = Report(template.scan)
    return _planned(report, package_edits(report.head, template.stack.system.packages, template.stack.bundled), spec, cache)


def rehearse_template(template: Template, specs: Sequence[BuilderSpec], cache: Path) -> list[Rehearsal]:
    """What a build of the template by each of the specs would meet; see `builders/rehearse.py`."""
    report = Report(template.scan) if template.scan is not None else None
    return Rehearser(report, lambda spec: rehearse(template, spec, cache), cache, template.stack.installation.swap_size).run(specs)


def swapped(stack: Stack, spec: BuilderSpec) -> Stack:
    """The stack with the swap that the builder asks for."""
    if not spec.swap_size:
        return stack
    setup = {**(stack.document.get("installation") or {}), "swapSize": spec.swap_size}
    return parse_document({**stack.document, "installation": setup})


def plain(stack: Stack) -> bool:
    """Whether nothing has to be done to the machine beyond its packages and its scan."""
    return stack.installation.empty and not stack.scripts and not stack.own_bundles


def _customize(template: Template, scratch: bool, disk: Path, plan: Path, base: Base, work: Path, cache: Path) -> None:
    """Run `builders/customize.py` as root on the mounted disk. Raises `BuildFailed`."""
    system = template.stack.system
    sources = Archive(system.codename, system.arch, cache).sources() if scratch else ""
    with root_of(disk, "raw", work, writable=True) as root:
        job = Job(str(root), str(template.folder), json.dumps(template.stack.document), str(plan), str(base.log), scratch, sources, base.begun, str(plan.parent))
        job_file = work / "customize.json"
        job_file.write_text(json.dumps(asdict(job)))
        job_file.chmod(0o600)
        try:
            run([sys.executable, "-P", "-m", "builders.customize", str(job_file)], root=True, env=own_path())
        except CommandFailed as error:
            if full := why_full(work, error.stderr):
                raise full from error
            said = error.stderr.strip().splitlines() or ["no reason was given"]
            raise BuildFailed(f"the template could not be applied: {said[-1]}", hint="forgelet job log ID shows the whole story") from error
