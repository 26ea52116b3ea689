"""The rehearsal: what a build would meet, found out before anything is built. Nothing is written but what the cache
keeps: apt's lists, and dpkg's records of what is packed whole.

Codes of points, in the order in which they are looked for:

    distribution         a system of a kind that was never seen to be built                        blocks
    architecture         nothing here builds for it                                                blocks
    release              a release that builds were not proven for                                 condition
    mirror-unreachable   the package lists cannot be had                                           blocks
    not-cached           nothing may be fetched (--offline), and the cache lacks lists or packages blocks
    package-unavailable  no repository offers the version: blocks, or is repacked, or replaced     by policy
    addition-unavailable what is added is in no repository in reach (of a source that is replicated)  condition
    packages-unfinished  dpkg is not done with packages of the source                              blocks
    packages-clash       the packages cannot be installed together, in apt's words                 blocks
    no-kernel            neither the source nor a repository has a kernel, or a bootloader         blocks
    disk-too-small       the contents do not fit; the size that would do                           blocks
    interface-names      the new machine's interfaces have other names                             condition where a file names them
    uid-clash            accounts of the source against those of added packages                    condition
    file-systems         lines of fstab that name disks which the new machine does not have        condition
    encrypted-disks      the same of crypttab                                                      condition
    boot-settings        GRUB's settings come along; a condition where they name the source's disks  note, condition
    kernel-modules       modules that no package ships; a condition where no package has their kernel  note, condition
    unpackaged-kernel    kernels of the source that no package owns                                condition
    firmware             the source starts by EFI, the image by BIOS                               condition
    simple-scan          contents outside packages were not captured                               condition
    secrets-redacted     secrets that stayed on the source                                         condition
    blind-spots          what the scan could not read                                              condition
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from builders import dib
from builders.additions import BOOTS, additions, has_kernel
from builders.archive import Archive, PackageId, kept_status
from builders.base import is_cached
from builders.bootable import written
from builders.capture import records
from builders.errors import BuildFailed, NotCached, Unresolved
from builders.foretold import AGAIN, interfaces, told
from builders.image import Addition
from builders.plan import BuildPlan, Verdict, blocker, make_plan
from builders.rehearsal import Disk, ImageBuilder, Point, Rehearsal, Weight, point
from builders.size import size_of
from builders.spec import BuilderSpec
from builders.unproven import ELEMENT, additions_of, family_of, image_builder
from scanner.errors import Unreachable
from scanner.report import Report

PROVEN = frozenset({"bullseye", "bookworm", "trixie"})
"""Debian releases whose images were built, booted and compared with their sources."""
Planner = Callable[[BuilderSpec], BuildPlan]


def rehearse(report: Report, specs: Sequence[BuilderSpec], cache: Path) -> list[Rehearsal]:
    """One rehearsal a builder. Raises `HostileInput` when the scan is damaged."""
    return Rehearser(report, lambda spec: make_plan(report, spec, cache), cache).run(specs)


@dataclass(frozen=True, slots=True)
class _Resolved:
    """What apt says of the packages: everything that would be installed beyond the source's own, with index entries."""

    added: dict[PackageId, dict[str, str]] = field(default_factory=dict)
    everything: tuple[PackageId, ...] = ()
    """All that would come from the archive."""
    points: tuple[Point, ...] = ()


class Rehearser:
    """Rehearses builders of one source; what they have in common is found out once."""

    def __init__(self, report: Report | None, planner: Planner, cache: Path, swap: int | None = None) -> None:
        """`swap`: MiB that a template's stack asks for; None for a scan, whose copy has the source's own."""
        self.report = report
        self.swap = swap
        self.planner = planner
        self.cache = cache
        self._resolved: dict[tuple[object, ...], _Resolved] = {}
        self._common: list[Point] | None = None

    def run(self, specs: Sequence[BuilderSpec]) -> list[Rehearsal]:
        return [self._one(number, spec) for number, spec in enumerate(specs)]

    def _one(self, number: int, spec: BuilderSpec) -> Rehearsal:
        why = blocker(self.report.head) if self.report else None
        if self.report is not None and why is not None:
            return self._unproven(number, spec, self.report, *why)
        try:
            plan = self.planner(spec)
        except Unresolved as error:
            return Rehearsal(builder=number, type=spec.type, points=[_clash(error), *self._told(spec)])
        except NotCached as error:
            return Rehearsal(builder=number, type=spec.type, points=[point("not-cached", Weight.BLOCKS, error.message, next=error.hint), *self._told(spec)])
        except (BuildFailed, Unreachable) as error:
            return Rehearsal(builder=number, type=spec.type, points=[point("mirror-unreachable", Weight.BLOCKS, error.message, next=error.hint), *self._told(spec)])
        resolved = self._resolve(plan)
        size = size_of(self.report, resolved.added.values())
        size = replace(size, added=size.added + (spec.swap_size or self.swap or 0))
        disk = Disk(asked=spec.disk_size, used=size.used, least=size.least)
        points = [*_release(plan), *_packages(plan), *resolved.points, *self._offline(plan, resolved), *_room(number, spec, disk), *self._swap(number, spec), *self._told(spec)]
        return Rehearsal(
            builder=number,
            type=spec.type,
            points=points,
            packages={verdict.value: count for verdict in Verdict if (count := sum(1 for one in plan.packages if one.verdict is verdict))},
            additions=_additions(plan, resolved),
            disk=disk,
            image_builder=ImageBuilder(elements=list(dib.ELEMENT_NAMES), arguments=dib.arguments("base"), environment=dib.settings(plan.codename, plan.arch)),
        )

    def _replicated(self, plan: BuildPlan, archive: Archive) -> list[Point]:
        """Of a source that is replicated: that its repositories are out of reach, and what is left out of the image therefore."""
        if not plan.replicate:
            return []
        points = []
        try:
            archive.refresh()
        except (BuildFailed, Unreachable) as error:
            points.append(point("mirror-unreachable", Weight.CONDITION, error.message, next=error.hint))
        present, asked = {package.name for package in plan.packages}, {addition.item for addition in plan.additions}
        if left := [f"{one.item}: {one.reason}" for one in additions(plan.codename, present) if one.item not in asked]:
            points.append(point("addition-unavailable", Weight.CONDITION, f"{len(left)} packages are not added: no repository in reach has them", left, "make a mirror of the release reachable"))
        return points

    def _offline(self, plan: BuildPlan, resolved: _Resolved) -> list[Point]:
        """What the cache lacks for a build that may fetch nothing."""
        archive = Archive(plan.codename, plan.arch, self.cache, plan.components, offline=True)
        if not plan.offline or is_cached(plan, archive, self.report.folder if self.report else self.cache, self.cache):
            return []
        everything = list(resolved.everything)
        gone = archive.lacking(everything, archive.stanzas(everything)) if everything else []
        rows = [one.apt for one in gone]
        return [point("not-cached", Weight.BLOCKS, f"{len(gone)} packages are not in the cache, and nothing may be fetched", rows, "build once without --offline")] if gone else []

    def _resolve(self, plan: BuildPlan) -> _Resolved:
        wanted = [one.id for one in plan.packages if one.verdict in (Verdict.ARCHIVE, Verdict.NEAREST)]
        names = [one.item for one in plan.additions]
        key = (tuple(wanted), tuple(names), tuple(plan.wanted))
        if key not in self._resolved:
            archive = Archive(plan.codename, plan.arch, self.cache, plan.components, offline=plan.offline)
            points = self._replicated(plan, archive)
            whole = records(self.report.folder) if plan.replicate and self.report else []
            found = _ask(archive, plan, wanted, names, kept_status(whole, self.cache) if whole else None)
            self._resolved[key] = replace(found, points=(*points, *found.points))
        return self._resolved[key]

    def _swap(self, number: int, spec: BuilderSpec) -> list[Point]:
        if self.swap is not None or not spec.swap_size:
            return []
        said = f"swapSize {spec.swap_size} cannot be built: the copy of a scan has the swap of its source"
        return [point("swap-size", Weight.BLOCKS, said, next="say 0, or build a template of the scan", place=f"builders[{number}].installation.swapSize")]

    def _told(self, spec: BuilderSpec) -> list[Point]:
        """What the report alone says."""
        if self.report is None:
            return []
        if self._common is None:
            self._common = list(told(self.report))
        return [*interfaces(self.report.head, spec), *self._common]

    def _unproven(self, number: int, spec: BuilderSpec, report: Report, code: str, what: str) -> Rehearsal:
        """What can be said of a system that is not built here: what its report tells, and how it would be built, where diskimage-builder knows its kind."""
        head, family = report.head, family_of(report.head)
        if family is None or head.system.arch not in ("x86_64", ""):
            why = point(code, Weight.BLOCKS, what, next="forgelet scan list shows what was scanned")
            return Rehearsal(builder=number, type=spec.type, points=[why, *self._told(spec)], proven=False)
        count = sum(1 for package in head.packages if package.status == "installed")
        evidence = [
            f"{count} packages, their versions not held against any repository: none of this kind is in reach",
            f"diskimage-builder's element {family.element} and the generated {ELEMENT} are below: checked for their form alone",
        ]
        evidence.append("what would be added is not counted in the disk")
        size = size_of(report, ())
        disk = Disk(asked=spec.disk_size, used=size.used, least=size.least)
        shown = point(code, Weight.BLOCKS, f"{what}; how it would be is shown, unproven", evidence, "forgelet scan rehearse -o json has the element's files")
        return Rehearsal(
            builder=number,
            type=spec.type,
            points=[shown, *_room(number, spec, disk), *self._told(spec)],
            packages={"not checked": count},
            additions=additions_of(head, family),
            disk=disk,
            image_builder=image_builder(head, spec, family),
            proven=False,
        )


def _ask(archive: Archive, plan: BuildPlan, wanted: list[PackageId], names: list[str], status: Path | None) -> _Resolved:
    offered = {one.name for one in archive.offers()}
    present = {package.name for package in plan.packages if package.verdict is not Verdict.ABSENT}
    lacking = [name for name in names if name in BOOTS and name not in offered]
    points = [
        point(
            "no-kernel",
            Weight.BLOCKS,
            f"neither the source nor a repository in reach has {'a kernel' if name == BOOTS[0] else 'a bootloader'}",
            [f"{name} is in none of the lists of {plan.codename}", f"kernels of the source: {'some' if has_kernel(present) else 'none'}"],
            "make a mirror of the release reachable (FORGELET_DEBIAN_MIRROR)",
        )
        for name in lacking
    ]
    asked = {word.partition("=")[0].partition(":")[0] for word in plan.wanted}
    try:
        everything = archive.resolve(wanted, [*plan.wanted, *(name for name in names if name not in lacking and name not in asked)], status)
    except Unresolved as error:
        points.append(_clash(error))
        return _Resolved(points=tuple(points))
    theirs = {(package.name, package.arch) for package in plan.packages}
    added = [one for one in everything if (one.name, one.arch) not in theirs]
    return _Resolved(archive.stanzas(added) if added else {}, tuple(everything), tuple(points))


def _clash(error: Unresolved) -> Point:
    first, *said = error.message.splitlines()
    return point("packages-clash", Weight.BLOCKS, first.rstrip(":"), said, "forgelet scan packages --id ID shows the source's")


def _additions(plan: BuildPlan, resolved: _Resolved) -> list[Addition]:
    asked = {addition.item for addition in plan.additions}
    pulled = [Addition(item=one.name, reason="needed by an added package") for one in sorted(resolved.added) if one.name not in asked]
    return [*plan.additions, *plan.substitutes, *pulled, *written(plan)]


def _release(plan: BuildPlan) -> Iterator[Point]:
    if plan.codename not in PROVEN:
        yield point("release", Weight.CONDITION, f"builds of Debian {plan.codename} were not proven", [f"proven: {', '.join(sorted(PROVEN))}"], "forgelet image verify, when it is built")


def _packages(plan: BuildPlan) -> Iterator[Point]:
    by = {verdict: [one for one in plan.packages if one.verdict is verdict] for verdict in Verdict}
    if by[Verdict.REPACK] and not plan.replicate:
        rows = [f"{one.name} {one.version}" for one in by[Verdict.REPACK]]
        yield point("package-unavailable", Weight.CONDITION, f"{len(rows)} packages are packed again from the source's own files: no repository offers them", rows, "nothing: their maintainer scripts run in the build")
    if by[Verdict.NEAREST]:
        rows = [f"{one.name} {one.version}: {one.nearest}" for one in by[Verdict.NEAREST]]
        yield point("package-unavailable", Weight.CONDITION, f"{len(rows)} packages come in the nearest version", rows, AGAIN)
    if by[Verdict.ABSENT]:
        rows = [f"{one.name} {one.version}" for one in by[Verdict.ABSENT]]
        weight = Weight.CONDITION if plan.lenient else Weight.BLOCKS
        what = f"{len(rows)} packages cannot be had: the scan did not capture them: {', '.join(rows[:3])}" if plan.replicate else f"{len(rows)} packages cannot be had: no repository offers {'any' if plan.lenient else 'this'} version, and the scan did not capture them: {', '.join(rows[:3])}{' …' if len(rows) > 3 else ''}"
        yield point("package-unavailable", weight, what, rows, AGAIN if plan.lenient else _ways_out(plan))


def _ways_out(plan: BuildPlan) -> str:
    return f"{AGAIN} --whole" if plan.replicate else f"{AGAIN}; or set `packages: nearest` in the builder file"


def _room(number: int, spec: BuilderSpec, disk: Disk) -> Iterator[Point]:
    if 0 < spec.disk_size < disk.least:
        yield point(
            "disk-too-small",
            Weight.BLOCKS,
            f"{spec.disk_size} MiB is too small for the contents; {disk.least} would do",
            [f"{disk.used} MiB would be used"],
            f"set diskSize to at least {disk.least}",
            f"line {spec.line}, builders[{number}].installation.diskSize",
        )
