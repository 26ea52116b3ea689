"""Fabricated machines (see the scanner's) and reports written by hand, for the room that builds them again."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from unit.scanner.conftest import Machine, machine, make_machine  # noqa: F401

from builders.built import Built, look
from builders.copydisk import TABLES
from builders.explain import ONLY_COPY, Explainer, base_wins, listed_by
from builders.image import Addition
from builders.lastpass import pairs
from builders.origins import Own
from builders.plan import BuildPlan, PlannedPackage, Verdict
from scanner.report import FileEntry, Report, ScanReport, System, file_table, walk_key, write_head

WriteReport = Callable[..., Report]
Record = dict[str, Own]


def head_of(**fields: object) -> ScanReport:
    """The head of a Debian 12's report; `fields` are those of `ScanReport`."""
    system = System(distribution="Debian", version="12", codename="bookworm", arch="x86_64", package_arch="amd64", hostname="web")
    return ScanReport.model_validate({"system": system, "overlay": True, **fields})


def entry(path: str, type: str = "file", state: str = "managed", **fields: object) -> FileEntry:
    """A line of a file table that looks like a real one's."""
    mode = {"directory": "0755", "symlink": "0777"}.get(type, "0644")
    return FileEntry(path=path, type=type, state=state, reason="told", **{"mode": mode, "mtime": 10**18, **fields})  # type: ignore[arg-type]


def planned(name: str, arch: str = "amd64", **marks: bool) -> PlannedPackage:
    """A package that the archive offers."""
    return PlannedPackage(name=name, arch=arch, version="1", **{"auto": False, "hold": False, **marks}, verdict=Verdict.ARCHIVE)


def plan_of(*packages: PlannedPackage, additions: Iterable[str] = ("cloud-init",), command_unit: str | None = None) -> BuildPlan:
    """The plan for a machine called `web` with these packages."""
    return BuildPlan(
        codename="bookworm",
        arch="amd64",
        components=["main"],
        hostname="web",
        timezone="",
        packages=list(packages),
        additions=[Addition(item=name, reason="needed") for name in additions],
        users=[],
        groups=[],
        overlay=True,
        disk_size=2000,
        memory=512,
        formats=["qcow2"],
        filesystem="",
        disk_id="",
        command_unit=command_unit,
    )


def recorded(source: Report, copy: Machine, *added: str) -> Record:
    """What the last pass would write down of the copy as it is now, were it a build's of that source."""

    def link(path: str) -> str | None:
        return str(copy.at(path).readlink()) if copy.at(path).is_symlink() else None

    explainer = Explainer(listed_by(copy.root, added), link, container=source.head.system.container is not None)
    rules = {path: explainer.explain(path, ONLY_COPY) for path, theirs, _ in pairs(copy.root, source) if theirs is None}
    kept = {path for path, rule in rules.items() if rule}
    own = [path for path in rules if any(one == path or one.startswith(f"{path}/") for one in kept)]
    own += [path for path, theirs, _ in pairs(copy.root, source) if theirs is not None and (base_wins(path) or path in TABLES) and os.path.lexists(copy.at(path))]
    return {path: Own(path, rules.get(path) or "", "", _look(copy, path)) for path in own}


def _look(copy: Machine, path: str) -> Built:
    folder = os.open(copy.at(path).parent, os.O_RDONLY)
    try:
        return look(folder, os.fsencode(path.rpartition("/")[2]))
    finally:
        os.close(folder)


def built(*entries: FileEntry, rule: str = "") -> Record:
    """The record of a build that left paths as these lines of a file table tell."""
    return {
        one.path: Own(one.path, rule, "", Built(one.type, one.mode, one.uid, one.gid, one.size if one.type == "file" else 0, one.sha256, one.target, one.device, one.xattrs))
        for one in entries
    }


@pytest.fixture
def write_report(tmp_path: Path) -> WriteReport:
    """Writes a report folder from entries (sorted here) and fields of the head."""
    written = 0

    def write(entries: Iterable[FileEntry] = (), head: ScanReport | None = None, **fields: object) -> Report:
        nonlocal written
        written += 1
        folder = tmp_path / f"report{written}"
        folder.mkdir()
        rows = sorted(entries, key=lambda one: walk_key(one.path))
        head = head or head_of(**fields)
        head.counts = {**Counter(one.state for one in rows), "files": len(rows)}
        with file_table(folder) as table:
            table.writelines(one.to_json().encode("ascii") + b"\n" for one in rows)
        write_head(folder, head)
        return Report(folder)

    return write
