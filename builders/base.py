"""The base disk: everything that packages give, made once by diskimage-builder and kept by content (`cache.py`)."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from builders.archive import Archive, PackageId, pool_name, write_status
from builders.cache import limit, prune, touch
from builders.capture import bare
from builders.dib import BaseRequest, build_base, element_files, link
from builders.epoch import source_date
from builders.errors import BuildFailed, NotCached
from builders.plan import BuildPlan, Verdict, system_accounts
from builders.repack import make_folder, repack
from builders.tools import versions
from scanner.host import clock
from scanner.host.locks import held
from scanner.host.run import run
from scanner.host.whole import write_whole
from scanner.overlay import unpack
from scanner.progress import Progress
from scanner.report import Report, State

GENERATION = 3
"""Counted up when bases of before must not be used any more."""
TOOLS = ("diskimage-builder", "mmdebstrap", "dpkg-deb", "mke2fs")
"""What makes a base; by another version of one it is made anew."""


@dataclass(frozen=True, slots=True)
class Base:
    """A base disk, in the job's own folder."""

    disk: Path
    """The raw disk; the job's own to write to."""
    log: Path
    """dpkg's log of its installation."""
    installed: list[str]
    """`name arch version` of every package."""
    cached: bool
    key: str
    begun: int
    """When its making began, nanoseconds since 1970: times from then on are the build's own."""
    tools: dict[str, str]
    """What it was made by -> version."""
    contents: Path
    """Where the cache keeps what is on the disk (`contents.py`)."""


@dataclass(frozen=True, slots=True)
class _Shelf:
    """One base's place in the cache."""

    cache: Path
    key: str

    @property
    def folder(self) -> Path:
        return self.cache / "base" / self.key

    @property
    def lock(self) -> Path:
        return self.cache / "base" / f"{self.key}.lock"

    @property
    def contents(self) -> Path:
        return self.folder / "contents.json"

    @property
    def full(self) -> bool:
        return (self.folder / "base.json").exists()


def base_for(plan: BuildPlan, scan: Path, work: Path, cache: Path, progress: Progress) -> Base:
    """The base disk of `plan`, copied into `work`: from the cache, or built now. Raises `BuildFailed`, `MissingTool`."""
    archive = Archive(plan.codename, plan.arch, cache, plan.components, offline=plan.offline)
    if plan.additions or not plan.replicate:
        archive.refresh()
    base = _remembered(plan, archive, scan, work, cache) or _resolved(plan, archive, scan, work, cache, progress)
    for one in prune(cache, limit()):
        progress.log(f"the cache is full: {one.kind} {one.name} was removed")
    return base


def is_cached(plan: BuildPlan, archive: Archive, scan: Path, cache: Path) -> bool:
    """Whether the base of this plan was made before, from the same lists, and is in the cache."""
    key = _note(plan, archive, scan, cache)
    return key.exists() and _Shelf(cache, json.loads(key.read_bytes())["key"]).full


def _remembered(plan: BuildPlan, archive: Archive, scan: Path, work: Path, cache: Path) -> Base | None:
    """The base that the same plan needed before, by the same lists: without asking apt, or packing anything again."""
    note = _note(plan, archive, scan, cache)
    if not note.exists():
        return None
    known = json.loads(note.read_bytes())
    shelf = _Shelf(cache, known["key"])
    with held(shelf.lock):
        if not shelf.full:
            return None
        touch(note)
        return _taken(shelf, work, known["installed"])


def _resolved(plan: BuildPlan, archive: Archive, scan: Path, work: Path, cache: Path, progress: Progress) -> Base:
    request = _request(plan, archive, scan, work, progress)
    rows = [f"{p.name} {p.arch} {p.version}" for p in request.packages]
    shelf = _Shelf(cache, _key(request))
    with held(shelf.lock):
        base = _taken(shelf, work, rows) if shelf.full else _built(request, archive, shelf, work, rows, progress)
    _write(_note(plan, archive, scan, cache), {"key": shelf.key, "installed": rows})
    return base


def _note(plan: BuildPlan, archive: Archive, scan: Path, cache: Path) -> Path:
    """Where it is written down which base a plan needs: by all that decides about it, the archive's signed indexes and the files that
    packages are packed again from included."""
    facts = plan.model_dump(mode="json", include={"codename", "arch", "components", "packages", "additions", "wanted", "disk_size", "filesystem", "disk_id", "replicate", "merged_usr"})
    outside = {package.name for package in plan.packages if package.verdict is Verdict.REPACK}
    said = [GENERATION, source_date(), facts, system_accounts(plan), _makers(), archive.release_digest(), _content(scan, outside) if outside else ""]
    return cache / "resolved" / f"{_digest(said)}.json"


def _content(scan: Path, packages: set[str]) -> str:
    """Everything of the scan that `_repacked` looks at, by the file table: a digest."""
    whole = hashlib.sha256()
    for entry in Report(scan).files():
        records = entry.path == "/var/lib/dpkg/status" or entry.path.startswith("/var/lib/dpkg/info/")
        if records or (entry.package or "").partition(":")[0] in packages:
            whole.update(entry.to_json().encode("ascii"))
        elif entry.type == "directory" and entry.package is None:
            # Packages share folders; their times are set by the last pass.
            whole.update(json.dumps([entry.path, entry.state, entry.mode, entry.uid, entry.gid]).encode("ascii"))
    return whole.hexdigest()


def _digest(facts: object) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode(errors="backslashreplace")).hexdigest()[:32]


def _write(path: Path, facts: dict[str, Any]) -> None:
    """Whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(facts))


def _request(plan: BuildPlan, archive: Archive, scan: Path, work: Path, progress: Progress) -> BaseRequest:
    wanted = [package.id for package in plan.packages if package.verdict in (Verdict.ARCHIVE, Verdict.NEAREST)]
    outside = [package.id for package in plan.packages if package.verdict is Verdict.REPACK]
    packed = _repacked(outside, scan, work, merged_usr=plan.merged_usr)
    asked = {word.partition("=")[0].partition(":")[0] for word in plan.wanted}
    extra = plan.wanted + [addition.item for addition in plan.additions if addition.item not in asked]
    extra += [] if plan.replicate else _depends(fields for _, fields in packed.values())
    present = {package.name for package in wanted} | {package.name for package in outside}
    # What is packed whole stays as it is: the archive gives what is added, and nothing in the place of the source's own.
    status = write_status((fields for _, fields in packed.values()), work / "status") if plan.replicate else None
    resolved = archive.resolve(wanted, [name for name in dict.fromkeys(extra) if name not in present], status)
    progress.log(f"{len(resolved)} packages from the archive, {len(packed)} packed again from the source's files")
    stanzas = archive.stanzas(resolved) if resolved else {}
    lost = [package for package in resolved if package not in stanzas]
    if lost:
        raise BuildFailed(f"the archive has no entry for {lost[0].apt}", hint="the mirror may be in the middle of an update: build again")
    if plan.offline and (gone := archive.lacking(resolved, stanzas)):
        raise NotCached(f"{len(gone)} packages are not in the cache, and nothing may be fetched: {', '.join(p.apt for p in gone[:20])}", hint="build once without --offline")
    return BaseRequest(
        codename=plan.codename,
        arch=plan.arch,
        packages=[*resolved, *packed],
        stanzas={**stanzas, **{package: fields for package, (_, fields) in packed.items()}},
        debs={**{p: archive.pool / pool_name(p) for p in resolved}, **{p: deb for p, (deb, _) in packed.items()}},
        accounts=system_accounts(plan),
        disk_size=plan.disk_size,
        filesystem=plan.filesystem,
        disk_id=plan.disk_id,
        merged_usr=plan.merged_usr,
    )


def _repacked(packages: list[PackageId], scan: Path, work: Path, *, merged_usr: bool) -> dict[PackageId, tuple[Path, dict[str, str]]]:
    if not packages:
        return {}
    tree, debs = work / "foreign", work / "debs"
    for folder in (tree, debs):
        folder.mkdir(parents=True)
    for name in ("foreign.tar.zst", "overlay.tar.zst"):
        if (scan / name).exists():
            for _ in unpack(scan / name, tree):
                pass
    _folders(tree, scan)
    return repack(packages, tree, debs, merged_usr=merged_usr, bare=bare(Report(scan)))


def _folders(tree: Path, scan: Path) -> None:
    """Folders that the scan did not look into (/run, /tmp …): packages own them all the same, and count on them."""
    for entry in Report(scan).files():
        if entry.state == State.EXCLUDED and entry.type == "directory" and entry.mode:
            make_folder(tree, entry)


def _depends(entries: Iterator[dict[str, str]]) -> list[str]:
    """First alternative of every dependency of packed packages, so that the archive's part of the closure is resolved too."""
    clauses = [clause for fields in entries for key in ("Pre-Depends", "Depends") for clause in fields.get(key, "").split(",") if clause.strip()]
    return [clause.split("|")[0].split("(")[0].strip().partition(":")[0] for clause in clauses]


def _makers() -> list[dict[str, str]]:
    """The tools with their versions, and every file of the elements with its digest."""
    return [versions(*TOOLS), {name: hashlib.sha256(place.read_bytes()).hexdigest() for name, place in element_files()}]


def _key(request: BaseRequest) -> str:
    packages = sorted([p.name, p.arch, p.version, request.stanzas[p]["SHA256"]] for p in request.packages)
    return _digest(
        [GENERATION, source_date(), request.codename, request.arch, packages, _makers(), request.disk_size, request.filesystem, request.disk_id, request.accounts, request.merged_usr]
    )


def _taken(shelf: _Shelf, work: Path, rows: list[str]) -> Base:
    """A copy for the job; the lock is held."""
    disk, log = work / "disk.raw", work / "dpkg.log"
    run(["cp", "--sparse=always", "--reflink=auto", str(shelf.folder / "disk.raw"), str(disk)], root=True)
    shutil.copyfile(shelf.folder / "dpkg.log", log)
    touch(shelf.folder / "base.json")
    record = json.loads((shelf.folder / "base.json").read_bytes())
    return Base(disk, log, rows, True, shelf.key, record["begun"], record.get("tools", {}), shelf.contents)


def _built(request: BaseRequest, archive: Archive, shelf: _Shelf, work: Path, rows: list[str], progress: Progress) -> Base:
    """The base, made now and copied into the cache; the lock is held."""
    begun = int(clock.now().timestamp() * 10**9)
    progress.update(12, "Downloading packages")
    request = _fetched(request, archive, work)
    progress.update(18, "Installing packages")
    build_base(request, work, work, progress.log)
    partial = shelf.folder.with_name(f"{shelf.key}.partial")
    for place in (partial, shelf.folder):
        run(["rm", "-rf", "--", str(place)], root=True)
    partial.mkdir(parents=True)
    for name in ("disk.raw", "dpkg.log"):
        run(["cp", "--sparse=always", "--reflink=auto", str(work / name), str(partial / name)], root=True)
    _write(partial / "base.json", {"codename": request.codename, "arch": request.arch, "packages": len(request.packages), "disk_size": request.disk_size, "begun": begun, "tools": versions(*TOOLS)})
    partial.rename(shelf.folder)
    return Base(work / "disk.raw", work / "dpkg.log", rows, False, shelf.key, begun, versions(*TOOLS), shelf.contents)


def _fetched(request: BaseRequest, archive: Archive, work: Path) -> BaseRequest:
    """The same, with every package in the job's own folder and its contents held against the signed index."""
    ours = [p for p in request.packages if request.debs[p].parent == archive.pool]
    own = work / "packages"
    own.mkdir()
    # One build downloads at a time, and nothing is removed meanwhile: the second finds what the first has fetched.
    with held(archive.pool.parent / "pool.lock"):
        damaged = [p for p in ours if request.debs[p].exists() and not _whole(request, p)]
        for package in damaged:
            request.debs[package].unlink()
        if gone := archive.lacking(ours, request.stanzas):
            if archive.offline:
                raise NotCached(f"{len(gone)} packages in the cache are damaged, and nothing may be fetched: {', '.join(p.apt for p in gone[:20])}", hint="build once without --offline")
            archive.fetch(ours, work / "status" if (work / "status").exists() else None)
        for package in ours:
            link(request.debs[package], own / pool_name(package))
            touch(request.debs[package])
    return replace(request, debs={**request.debs, **{p: own / pool_name(p) for p in ours}})


def _whole(request: BaseRequest, package: PackageId) -> bool:
    with request.debs[package].open("rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest() == request.stanzas[package]["SHA256"]
