"""Packages packed again from a machine's own files, read back by dpkg-deb, which knows nothing of ours."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from builders.archive import PackageId
from builders.errors import BuildFailed
from builders.repack import make_folder, repack
from scanner.errors import HostileInput
from scanner.report import FileEntry

from .conftest import Machine

pytestmark = pytest.mark.dib

TOOL = PackageId("tool", "amd64", "1:2.0-1+own")
FIELDS = """\
Maintainer: Own <own@localhost>
Section: misc
Priority: optional
Depends: libc6 (>= 2.36), tzdata | other
Description: a tool of our own
 in two lines"""


@pytest.fixture
def captured(machine: Machine) -> Machine:
    """A tree as the capture of a package that no repository offers leaves it."""
    machine.package(
        "tool",
        {"/usr/bin/tool": b"binary", "/usr/share/doc/tool/a b": b"doc"},
        conffiles={"/etc/tool.conf": b"changed by now\n"},
        listed=["/usr/share/tool/link", "/bin/legacy", "/usr/share/tool/gone"],
        version="1:2.0-1+own",
        fields=FIELDS,
    )
    machine.file(b"/usr/share/tool/caf\xe9\x85", b"latin")
    with machine.at("/var/lib/dpkg/info/tool.list").open("ab") as listed:
        listed.write(b"/usr/share/tool/caf\xe9\x85\n")
    machine.at("/usr/share/tool/link").symlink_to("/usr/bin/tool")
    machine.file("/usr/bin/legacy", b"through the merged /usr", 0o755)
    machine.at("/usr/bin/tool").chmod(0o4755)
    os.chown(machine.at("/usr/share/tool"), 33, 33)
    os.chown(machine.at("/usr/share/doc/tool/a b"), 33, 34)
    for name, text in {"postinst": "#!/bin/sh\nexit 0\n", "conffiles": "/etc/tool.conf\n", "triggers": "activate-noawait ldconfig\n"}.items():
        machine.file(f"/var/lib/dpkg/info/tool.{name}", text.encode(), 0o755 if name == "postinst" else 0o644)
    machine.file("/var/lib/dpkg/info/tool.extra.postinst", b"#!/bin/sh\nexit 1\n")
    machine.package("toolbox", {"/usr/bin/toolbox": b"another's"})
    return machine


def deb(*words: str | Path) -> str:
    return subprocess.run(["dpkg-deb", *words], capture_output=True, check=True).stdout.decode(errors="surrogateescape")


def pack(machine: Machine, into: Path, *packages: PackageId) -> dict[PackageId, tuple[Path, dict[str, str]]]:
    into.mkdir()
    return repack(packages or [TOOL], machine.root, into)


def test_the_control_fields_are_the_packages_own_without_dpkgs_state(captured: Machine, tmp_path: Path) -> None:
    place, entry = pack(captured, tmp_path / "debs")[TOOL]
    told = deb("-f", place)
    assert "Version: 1:2.0-1+own\n" in told
    assert "Depends: libc6 (>= 2.36), tzdata | other\n" in told
    assert "Description: a tool of our own\n in two lines\n" in told
    assert "Status" not in told and "Conffiles" not in told
    raw = place.read_bytes()
    assert (entry["Size"], entry["SHA256"]) == (str(len(raw)), hashlib.sha256(raw).hexdigest())
    assert entry["Package"] == "tool"


def test_scripts_and_conffiles_are_the_packages_own(captured: Machine, tmp_path: Path) -> None:
    place, _ = pack(captured, tmp_path / "debs")[TOOL]
    control = tmp_path / "control"
    deb("-e", place, control)
    assert sorted(path.name for path in control.iterdir()) == ["conffiles", "control", "postinst", "triggers"]
    assert (control / "conffiles").read_text() == "/etc/tool.conf\n"
    assert os.access(control / "postinst", os.X_OK)


def test_contents_have_their_owners_and_modes(captured: Machine, tmp_path: Path) -> None:
    place, _ = pack(captured, tmp_path / "debs")[TOOL]
    rows = {}
    for line in deb("-c", place).splitlines():
        mode, owner, _, _, _, name = line.split(None, 5)
        rows[name] = (mode, owner)
    assert rows["./usr/bin/tool"] == ("-rwsr-xr-x", "root/root")
    assert rows["./usr/share/tool/link -> /usr/bin/tool"][0] == "lrwxrwxrwx"
    assert rows["./usr/bin/legacy"][0] == "-rwxr-xr-x"
    assert "www-data" in rows["./usr/share/tool/"][1] or "33" in rows["./usr/share/tool/"][1]
    assert not any("gone" in name or "toolbox" in name for name in rows)
    out = tmp_path / "out"
    deb("-x", place, out)
    info = (out / "usr/share/doc/tool/a b").stat()
    assert (info.st_uid, info.st_gid) == (33, 34)
    assert Path(os.fsdecode(os.fsencode(out) + b"/usr/share/tool/caf\xe9\x85")).read_bytes() == b"latin"
    assert (out / "etc/tool.conf").read_bytes() == b"changed by now\n"


def test_the_same_files_give_the_same_bytes(captured: Machine, tmp_path: Path) -> None:
    first, _ = pack(captured, tmp_path / "first")[TOOL]
    second, _ = pack(captured, tmp_path / "second")[TOOL]
    assert first.read_bytes() == second.read_bytes()
    assert [path.name for path in (tmp_path / "first").iterdir()] == ["tool_amd64.deb"]


def test_a_package_of_one_architecture_among_others_is_found_by_it(captured: Machine, tmp_path: Path) -> None:
    captured.package("lib", {"/usr/lib/lib.so": b"amd64"}, info="lib:amd64", fields=FIELDS)
    place, _ = pack(captured, tmp_path / "debs", PackageId("lib", "amd64", "1.0-1"))[PackageId("lib", "amd64", "1.0-1")]
    assert "./usr/lib/lib.so" in deb("-c", place)


def test_a_package_without_a_list_of_files_on_the_source_has_its_record_and_no_files(captured: Machine, tmp_path: Path) -> None:
    with captured.at("/var/lib/dpkg/status").open("a") as out:
        out.write(f"\nPackage: bare\nStatus: install ok installed\nArchitecture: all\nVersion: 1.0\n{FIELDS}\n\n")
    bare = PackageId("bare", "all", "1.0")
    (tmp_path / "debs").mkdir()
    place, fields = repack([bare], captured.root, tmp_path / "debs", bare={"bare"})[bare]
    assert deb("-f", place, "Package", "Version") == "Package: bare\nVersion: 1.0\n"
    assert [line.split()[-1] for line in deb("-c", place).splitlines()] == ["./"]
    assert fields["Version"] == "1.0"


@pytest.mark.parametrize(
    ("lost", "said"),
    [("/var/lib/dpkg/status", "lacks dpkg's status"), ("/var/lib/dpkg/info/tool.list", "lacks the file list of tool")],
)
def test_a_capture_without_dpkgs_records_is_refused(captured: Machine, tmp_path: Path, lost: str, said: str) -> None:
    captured.at(lost).unlink()
    with pytest.raises(BuildFailed, match=said):
        pack(captured, tmp_path / "debs")


def test_a_package_at_another_version_has_no_record(captured: Machine, tmp_path: Path) -> None:
    with pytest.raises(BuildFailed, match=r"no record of tool 3\.0"):
        pack(captured, tmp_path / "debs", PackageId("tool", "amd64", "3.0"))


@pytest.mark.parametrize("line", ["/../outside/file", "/usr/../../outside/file", "outside/file", "/link/file", "/usr/share/../x"])
def test_a_file_list_that_leads_out_of_the_tree_is_refused(captured: Machine, tmp_path: Path, line: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("this machine's own secret")
    captured.at("/link").symlink_to(outside)
    with captured.at("/var/lib/dpkg/info/tool.list").open("a") as out:
        out.write(f"{line}\n")
    with pytest.raises(HostileInput):
        pack(captured, tmp_path / "debs")
    assert list((tmp_path / "debs").glob("*.deb")) == []
    assert [path.name for path in outside.iterdir()] == ["file"]


@pytest.mark.parametrize("name", ["../../tool", "tool/x", "-tool", "", "to*l"])
def test_a_name_that_no_package_can_have_is_refused(captured: Machine, tmp_path: Path, name: str, make_machine: Callable[[str], Machine]) -> None:
    with pytest.raises(HostileInput, match="is no name of a package"):
        pack(captured, tmp_path / "debs", PackageId(name, "amd64", "1"))
    assert list((tmp_path / "debs").iterdir()) == []


def test_a_folder_that_the_scan_did_not_look_into_is_there_with_owner_and_mode(tmp_path: Path) -> None:
    make_folder(tmp_path, FileEntry("/tmp", "directory", "excluded", "temporary", mode="1777", uid=33, gid=34))
    info = (tmp_path / "tmp").stat()
    assert (info.st_mode & 0o7777, info.st_uid, info.st_gid) == (0o1777, 33, 34)


def test_such_a_folder_is_never_made_through_a_link_that_leads_out(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/var").symlink_to(tmp_path)
    with pytest.raises(HostileInput):
        make_folder(tmp_path / "tree", FileEntry("/var/run", "directory", "excluded", "user", mode="0755"))
    assert not (tmp_path / "run").exists()
