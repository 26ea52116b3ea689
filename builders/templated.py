"""The build of a template: its scan as it is or edited, or a fresh system; then what the template sets up."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

from builders import plan as plans
from builders.archive import Archive
from builders.base import Base
from builders.customize import Job
from builders.edits import package_edits, without
from builders.errors import BuildFailed
from builders.image import Addition, Image
from builders.plan import BuildPlan
from builders.platforms.openstack import Making, make, own_path
from builders.scratch import scratch_plan
from builders.spec import BuilderSpec
from builders.stack import Stack
from builders.template import Template
from scanner.errors import CommandFailed
from scanner.host.disks import root_of
from scanner.host.run import run
from scanner.progress import Progress
from scanner.report import Report


def build_template(template: Template, spec: BuilderSpec, into: Path, work: Path, cache: Path, progress: Progress) -> Image:
    """Make the image of the template in folder `into`. Stages and errors as `Platform.build`."""
    scan = template.scan
    wishes = template.stack.system.packages
    edits = package_edits(Report(scan).head, wishes, template.stack.bundled) if scan is not None else None
    if scan is not None and edits:
        progress.log(f"packages taken out: {', '.join(p.name for p in edits.removed) or 'none'}; put in: {', '.join(w.apt for w in edits.added) or 'none'}")
        scan = without(scan, edits, work / "edited")

    def plan() -> BuildPlan:
        if scan is None:
            return scratch_plan(template.stack, spec, cache)
        made = plans.make_plan(Report(scan), spec, cache)
        for wish in edits.added if edits else ():
            made.additions.append(Addition(item=wish.name, reason="the template asks for it"))
            made.wanted.append(wish.apt)
        return made

    def finish(disk: Path, base: Base) -> None:
        _customize(template, scan is None, disk, into / "plan.json", base, work, cache)

    source = {"template": template.stack.name, "template_version": template.stack.version}
    untouched = scan is not None and plain(template.stack)
    return make(Making(scan, plan, None if untouched else finish, source), into, work, cache, progress)


def rehearse(template: Template, spec: BuilderSpec, cache: Path) -> BuildPlan:
    """The plan alone: what a simulated build says. Raises `BuildFailed` for what cannot be had."""
    scan = template.scan
    return scratch_plan(template.stack, spec, cache) if scan is None else plans.make_plan(Report(scan), spec, cache)


def plain(stack: Stack) -> bool:
    """Whether nothing has to be done to the machine beyond its packages and its scan."""
    return stack.installation.empty and not stack.scripts and not stack.own_bundles


def _customize(template: Template, scratch: bool, disk: Path, plan: Path, base: Base, work: Path, cache: Path) -> None:
    """Run `builders/customize.py` as root on the mounted disk. Raises `BuildFailed`."""
    system = template.stack.system
    sources = Archive(system.codename, system.arch, cache).sources() if scratch else ""
    with root_of(disk, "raw", work, writable=True) as root:
        job = Job(str(root), str(template.folder), json.dumps(template.stack.document), str(plan), str(base.log), scratch, sources)
        job_file = work / "customize.json"
        job_file.write_text(json.dumps(asdict(job)))
        job_file.chmod(0o600)
        try:
            run([sys.executable, "-P", "-m", "builders.customize", str(job_file)], root=True, env=own_path())
        except CommandFailed as error:
            full = "No space left on device" in error.stderr
            said = error.stderr.strip().splitlines() or ["no reason was given"]
            raise BuildFailed(f"the template could not be applied: {said[-1]}", hint="set a larger diskSize" if full else "forgelet job log ID shows the whole story") from error
