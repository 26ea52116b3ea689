"""Templates on disk: from a scan to an archive and back, edited and unedited."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
import yaml
import zstandard

from builders.errors import SpecError
from builders.stack import parse_stack
from builders.template import Template, copy, from_scan, read_archive, write_archive
from scanner.agent.archive import WHITEOUT
from scanner.errors import HostileInput
from scanner.report import FileEntry, Package, Report, ScanReport, System, file_table, walk_key, write_head

ROWS = [
    FileEntry(path="/", type="directory", state="managed", reason="shared", mode="0755"),
    FileEntry(path="/etc", type="directory", state="managed", reason="shared", mode="0755"),
    FileEntry(path="/etc/motd", type="file", state="conffile-changed", reason="conffile-md5", mode="0644", size=6, package="base-files"),
    FileEntry(path="/etc/shadow-copy", type="file", state="missing", reason="deleted", mode="0000", package="base-files"),
    FileEntry(path="/srv", type="directory", state="managed", reason="shared", mode="0755"),
    FileEntry(path="/srv/app", type="file", state="unmanaged", reason="not-in-any-package", mode="0755", size=3, mtime=5 * 10**9),
]


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    folder = tmp_path / "scan"
    folder.mkdir()
    with file_table(folder) as lines:
        for row in sorted(ROWS, key=lambda row: walk_key(row.path)):
            lines.write(row.to_json().encode() + b"\n")
    system = System(distribution="Debian", version="12", codename="bookworm", arch="x86_64", package_arch="amd64", hostname="web")
    packages = [Package(name="nginx", version="1.22.1-9", arch="amd64"), Package(name="base-files", version="12.4", arch="amd64")]
    write_head(folder, ScanReport(target="docker:web", overlay=True, system=system, packages=packages, counts={"files": len(ROWS)}))
    with zstandard.open(folder / "overlay.tar.zst", "wb") as out, tarfile.open(fileobj=out, mode="w|") as tar:
        gone = tarfile.TarInfo("etc/shadow-copy")
        gone.type, gone.devmajor, gone.devminor = tarfile.CHRTYPE, *WHITEOUT
        tar.addfile(gone)
        for name, data, mode in (("etc/motd", b"hello\n", 0o644), ("srv/app", b"app", 0o755)):
            member = tarfile.TarInfo(name)
            member.size, member.mode, member.mtime = len(data), mode, 5
            tar.addfile(member, io.BytesIO(data))
    return folder


@pytest.fixture
def exported(scan: Path, tmp_path: Path) -> Path:
    """The archive of the scan's template, unpacked, by GNU tar."""
    stack = from_scan(scan, tmp_path / "template", "web", "1.0")
    write_archive(Template(stack, tmp_path / "template"), "yaml", tmp_path / "a.tar.gz", tmp_path / "work")
    folder = tmp_path / "edit"
    folder.mkdir()
    subprocess.run(["tar", "-xzf", tmp_path / "a.tar.gz", "-C", folder], check=True)
    return folder


def again(folder: Path, tmp_path: Path) -> tuple[Path, list[str]]:
    archive, into = tmp_path / "again.tar.gz", tmp_path / "again"
    subprocess.run(["tar", "-czf", archive, "-C", folder, "."], check=True)
    _, edited = read_archive(archive, into)
    return into, edited


def test_a_scans_template_lists_every_package_at_its_version(exported: Path) -> None:
    stack = yaml.safe_load((exported / "template.yml").read_text())["stack"]
    assert stack["os"]["pkgs"] == [
        {"name": "base-files", "version": "12.4", "arch": "amd64"},
        {"name": "nginx", "version": "1.22.1-9", "arch": "amd64"},
    ]
    assert parse_stack((exported / "template.yml").read_text(), "template.yml").from_scan


def test_an_archive_that_nobody_edited_gives_the_same_scan(scan: Path, exported: Path, tmp_path: Path) -> None:
    into, edited = again(exported, tmp_path)
    assert edited == []
    assert list(Report(into / "scan").lines()) == list(Report(scan).lines())
    assert Report(into / "scan").head == Report(scan).head
    unpacked = [zstandard.open(folder / "overlay.tar.zst").read() for folder in (scan, into / "scan")]
    assert unpacked[0] == unpacked[1]
    assert [path for path in (into / "files").rglob("*") if path.is_file()] == []


def test_the_template_outlives_its_scan(scan: Path, tmp_path: Path) -> None:
    stack = from_scan(scan, tmp_path / "template", "web", "1.0")
    shutil.rmtree(scan)
    write_archive(Template(stack, tmp_path / "template"), "json", tmp_path / "a.tar.gz", tmp_path / "work")
    with tarfile.open(tmp_path / "a.tar.gz") as tar:
        assert tar.getnames()[-1] == "template.json"
        assert json.load(tar.extractfile("template.json"))["builders"] is None  # type: ignore[arg-type]


def test_what_a_person_does_to_the_overlay_is_in_the_table(exported: Path, tmp_path: Path) -> None:
    overlay = exported / "bundles/forgelet-scan/1.0/overlay.tar"
    tree = tmp_path / "tree"
    (tree / "srv").mkdir(parents=True)
    (tree / "etc").mkdir()
    (tree / "srv/new").write_text("new\n")
    (tree / "etc/motd").write_text("changed\n")
    subprocess.run(["tar", "--delete", "-f", overlay, "srv/app"], check=True)
    subprocess.run(["tar", "-rf", overlay, "-C", tree, "srv/new", "etc/motd"], check=True)
    into, edited = again(exported, tmp_path)
    assert edited == ["/etc/motd", "/srv/app", "/srv/new"]
    rows = {row.path: row for row in Report(into / "scan").files()}
    assert list(rows) == sorted(rows, key=walk_key)
    assert "/srv/app" not in rows
    assert (rows["/srv/new"].state, rows["/srv/new"].size) == ("unmanaged", 4)
    assert (rows["/etc/motd"].state, rows["/etc/motd"].size, rows["/etc/motd"].package) == ("managed-changed", 8, "base-files")


def test_a_source_that_is_no_member_is_named(exported: Path, tmp_path: Path) -> None:
    stack = yaml.safe_load((exported / "template.yml").read_text())
    stack["stack"]["config"] = [{"name": "a", "source": "config/a.sh"}]
    (exported / "template.yml").write_text(yaml.safe_dump(stack))
    with pytest.raises(SpecError) as caught:
        again(exported, tmp_path)
    assert caught.value.problems == ("line 1, stack.config[0].source: the archive has no member 'config/a.sh'",)


@pytest.mark.parametrize("name", ["report.json", "files.ndjson.zst", "overlay.tar", "members.ndjson"])
def test_a_damaged_scan_is_refused(exported: Path, tmp_path: Path, name: str) -> None:
    (exported / "bundles/forgelet-scan/1.0" / name).write_bytes(b"\xff damaged \x00" * 100)
    with pytest.raises(HostileInput):
        again(exported, tmp_path)


@pytest.mark.parametrize(("key", "value", "said"), [("version", "13", "is Debian 13, and the template's scan is of Debian 12"), ("profile", "Server", "the profile Server cannot be added")])
def test_a_scan_is_not_called_another_system(exported: Path, tmp_path: Path, key: str, value: str, said: str) -> None:
    document = yaml.safe_load((exported / "template.yml").read_text())
    document["stack"]["os"][key] = value
    (exported / "template.yml").write_text(yaml.safe_dump(document))
    with pytest.raises(SpecError) as caught:
        again(exported, tmp_path)
    assert said in caught.value.problems[0]


def test_a_copy_shares_its_files(scan: Path, tmp_path: Path) -> None:
    from_scan(scan, tmp_path / "template", "web", "1.0")
    copy(tmp_path / "template", tmp_path / "copy")
    assert (tmp_path / "copy/scan/overlay.tar.zst").samefile(scan / "overlay.tar.zst")
