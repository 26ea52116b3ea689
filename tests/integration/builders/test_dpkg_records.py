"""What dpkg knows in the copy of packages that were packed again or removed, by dpkg itself: all that it knew on the source."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from unit.builders.conftest import plan_of, planned

from builders import origins
from builders.archive import PackageId
from builders.base import _repacked
from builders.capture import left_behind, pick, removed
from builders.copydisk import Mounted
from builders.explain import recorded
from builders.fidelity import Copy, compare
from builders.lastpass import Job, apply
from builders.origins import Own
from builders.plan import Verdict
from scanner.report import Report

from .conftest import Machine

pytestmark = pytest.mark.dib

RECORDS = ("status", "info/tool.list", "info/tool.md5sums", "info/tool.conffiles", "info/gone.list", "info/gone.postrm")


def deb(folder: Path, name: str, conffile: str, version: str = "1.0") -> Path:
    """A package as debhelper makes it: sums of all but the conffiles, sorted."""
    tree = folder / f"{name}-{version}"
    files = {f"usr/share/doc/{name}/changelog": "log\n", f"usr/share/{name}/data": "data\n", f"usr/share/{name}-more": "more\n"}
    configuration = {f"etc/{name}.conf": conffile, f"etc/{name}.second": "second\n"}
    _write(tree, {**files, **configuration})
    sums = "".join(f"{hashlib.md5(text.encode()).hexdigest()}  {path}\n" for path, text in sorted(files.items()))
    control = f"Package: {name}\nVersion: {version}\nArchitecture: amd64\nMaintainer: Own <own@localhost>\nDescription: one\n two\n"
    _write(tree / "DEBIAN", {"control": control, "md5sums": sums, "conffiles": "".join(f"/{path}\n" for path in configuration), "postrm": "#!/bin/sh\nexit 0\n"})
    (tree / "DEBIAN/postrm").chmod(0o755)
    place = folder / f"{name}-{version}.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "--build", tree, place], check=True, capture_output=True)
    return place


def _write(folder: Path, files: Mapping[str, str]) -> None:
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)


def dpkg(machine: Machine, *words: str | Path) -> subprocess.CompletedProcess[str]:
    options = [f"--root={machine.root}", "--force-script-chrootless", "--log=/dev/null"]
    return subprocess.run(["dpkg", *options, *words], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)


def installed(machine: Machine, *debs: Path) -> None:
    done = dpkg(machine, "--install", *debs)
    assert done.returncode == 0, done.stderr


@dataclass(frozen=True)
class Migrated:
    """A source that was lived in, what was scanned of it, the tree that a build made of that, and the record of how it left it."""

    source: Machine
    copy: Machine
    report: Report
    record: Mapping[str, Own]


@pytest.fixture
def migrated(make_machine: Callable[[str], Machine], tmp_path: Path) -> Migrated:
    source, copy = make_machine("source"), make_machine("copy")
    for machine in (source, copy):
        for folder in ("updates", "triggers"):
            machine.at(f"/var/lib/dpkg/{folder}").mkdir()
        machine.at("/var/lib/apt").mkdir()
        machine.file("/var/log/dpkg.log", b"")
        for table in ("passwd", "group", "shadow", "gshadow"):
            machine.file(f"/etc/{table}", b"root:x:0:0:root:/root:/bin/sh\n" if table == "passwd" else b"root:x:0:\n")
    installed(source, deb(tmp_path, "tool", "shipped\n"), deb(tmp_path, "gone", "shipped\n"))
    source.file("/etc/tool.conf", b"the administrator's\n")
    source.file("/usr/share/tool/data", b"changed\n")
    for path in ("/usr/share/doc/tool/changelog", "/etc/tool.second"):
        source.at(path).unlink()
    assert dpkg(source, "--remove", "gone").returncode == 0
    source.file("/etc/gone.conf", b"the administrator's\n")
    report = source.scan(choose=lambda report: lambda one: pick(one, {"tool"}, left_behind(report.head)))
    tool = planned("tool").model_copy(update={"version": "1.0", "verdict": Verdict.REPACK})
    plan = plan_of(tool, additions=()).model_copy(update={"removed": removed(report.head)})
    (tmp_path / "plan.json").write_text(plan.model_dump_json())
    (tmp_path / "build.log").touch()
    packed = _repacked([PackageId("tool", "amd64", "1.0")], report.folder, tmp_path / "work", merged_usr=True)
    installed(copy, *(place for place, _ in packed.values()))
    (tmp_path / "image").mkdir()
    record = tmp_path / "image" / origins.FILE
    apply(Job(str(copy.root), str(report.folder), str(tmp_path / "plan.json"), str(tmp_path / "build.log"), [], origins=str(record)))
    return Migrated(source, copy, report, origins.record(record.parent))


def test_the_records_are_the_sources_to_the_byte(migrated: Migrated) -> None:
    for name in RECORDS:
        assert migrated.copy.at(f"/var/lib/dpkg/{name}").read_bytes().strip() == migrated.source.at(f"/var/lib/dpkg/{name}").read_bytes().strip(), name
    names = [sorted(path.name for path in machine.at("/var/lib/dpkg/info").iterdir()) for machine in (migrated.source, migrated.copy)]
    assert names[0] == names[1]


def test_dpkg_finds_the_same_changes_as_on_the_source(migrated: Migrated) -> None:
    said = dpkg(migrated.source, "--verify").stdout
    assert "/etc/tool.conf" in said and "/usr/share/tool/data" in said and "missing" in said
    assert dpkg(migrated.copy, "--verify").stdout == said
    assert dpkg(migrated.copy, "--audit").stdout == ""


def test_an_upgrade_asks_before_it_touches_a_configuration_that_was_changed(migrated: Migrated, tmp_path: Path) -> None:
    done = dpkg(migrated.copy, "--install", deb(tmp_path, "tool", "newly shipped\n", "2.0"))
    assert "end of file on stdin at conffile prompt" in done.stderr
    assert migrated.copy.at("/etc/tool.conf").read_bytes() == b"the administrator's\n"
    assert not migrated.copy.at("/etc/tool.second").exists()


def test_a_removed_package_can_be_purged(migrated: Migrated) -> None:
    assert migrated.copy.at("/etc/gone.conf").read_bytes() == b"the administrator's\n"
    assert dpkg(migrated.copy, "--purge", "gone").returncode == 0
    assert not migrated.copy.at("/etc/gone.conf").exists()


def test_the_proof_has_nothing_to_say_of_packages(migrated: Migrated) -> None:
    found = compare(migrated.report, Copy(migrated.copy.scan(), Mounted(migrated.copy.root), set(), migrated.record))
    assert [(one.scope, one.item, one.what) for one in found.differences if one.scope == "packages" or recorded(one.item)] == []
    assert [one.item for one in found.differences if one.rule is None and one.item.startswith(("/var", "/usr/share"))] == []
