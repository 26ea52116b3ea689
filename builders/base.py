"""The base disk: everything that packages give, made once by diskimage-builder and kept by content."""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from builders.archive import Archive, PackageId, pool_name, write_status
from builders.dib import ELEMENTS, BaseRequest, build_base
from builders.errors import BuildFailed
from builders.plan import BuildPlan, Verdict, system_accounts
from builders.repack import make_folder, repack
from scanner.host.run import run
from scanner.overlay import unpack
from scanner.progress import Progress
from scanner.report import Report, State

GENERATION = 1
"""Counted up when bases of before must not be used any more."""


@dataclass(frozen=True, slots=True)
class Base:
    """A base disk in the cache."""

    disk: Path
    log: Path
    """dpkg's log of its installation."""
    installed: list[str]
    """`name arch version` of every package."""
    cached: bool
    key: str


def base_for(plan: BuildPlan, scan: Path, work: Path, cache: Path, progress: Progress) -> Base:
    """The base disk of `plan`: from the cache, or built now. Raises `BuildFailed`, `MissingTool`."""
    archive = Archive(plan.codename, plan.arch, cache, plan.components)
    if plan.additions or not plan.replicate:
        archive.refresh()
    request = _request(plan, archive, scan, work, progress)
    key = _key(request)
    folder = cache / "base" / key
    with _locked(cache / "base" / f"{key}.lock"):
        cached = (folder / "disk.raw").exists()
        if not cached:
            _build(request, archive, folder, work, progress)
    rows = [f"{p.name} {p.arch} {p.version}" for p in request.packages]
    return Base(folder / "disk.raw", folder / "dpkg.log", rows, cached, key)


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
    return repack(packages, tree, debs, merged_usr=merged_usr)


def _folders(tree: Path, scan: Path) -> None:
    """Folders that the scan did not look into (/run, /tmp …): packages own them all the same, and count on them."""
    for entry in Report(scan).files():
        if entry.state == State.EXCLUDED and entry.type == "directory" and entry.mode:
            make_folder(tree, entry)


def _depends(entries: Iterator[dict[str, str]]) -> list[str]:
    """First alternative of every dependency of packed packages, so that the archive's part of the closure is resolved too."""
    clauses = [clause for fields in entries for key in ("Pre-Depends", "Depends") for clause in fields.get(key, "").split(",") if clause.strip()]
    return [clause.split("|")[0].split("(")[0].strip().partition(":")[0] for clause in clauses]


def _key(request: BaseRequest) -> str:
    elements = {str(p.relative_to(ELEMENTS)): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(ELEMENTS.rglob("*")) if p.is_file()}
    packages = sorted([p.name, p.arch, p.version, request.stanzas[p]["SHA256"]] for p in request.packages)
    facts = [GENERATION, request.codename, request.arch, packages, elements, request.disk_size, request.filesystem, request.disk_id, request.accounts, request.merged_usr]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode(errors="backslashreplace")).hexdigest()[:32]


def _build(request: BaseRequest, archive: Archive, folder: Path, work: Path, progress: Progress) -> None:
    progress.update(12, "Downloading packages")
    fetched = [p for p in request.packages if request.debs[p].parent == archive.pool]
    if fetched:
        archive.fetch(fetched, work / "status" if (work / "status").exists() else None)
    progress.update(18, "Installing packages")
    made = work / "base-made"
    made.mkdir()
    build_base(request, made, work, progress.log)
    if folder.exists():
        shutil.rmtree(folder)
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for name in ("disk.raw", "dpkg.log"):
        run(["cp", "--sparse=always", "--reflink=auto", str(made / name), str(partial / name)], root=True)
    shutil.rmtree(made)
    partial.rename(folder)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One build of the same base at a time; the lock goes with the process."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
