"""Bundles: how they are read, and where their files go; nothing is written outside the image."""

from __future__ import annotations

import io
import json
import os
import stat
import tarfile
from pathlib import Path
from typing import Any

import pytest

from builders.bootable import Tree
from builders.bundle import parse_bundle
from builders.customize import network
from builders.edits import package_edits, without
from builders.errors import SpecError
from builders.installation import Interface
from builders.placing import installers, place
from builders.stack import Stack, Wish, parse_document
from builders.template import Template
from scanner.report import FileEntry, Package, Report, ScanReport, file_table, write_head


def stack(*files: dict[str, Any], **bundle: Any) -> Stack:
    one = {"name": "tools", "version": "1.0", "destination": "/opt/tools", "files": list(files), **bundle}
    return parse_document({"name": "a", "version": "1", "os": {"name": "Debian", "version": "12", "arch": "x86_64"}, "bundles": [one]})


@pytest.fixture
def image(tmp_path: Path) -> Tree:
    root = tmp_path / "image"
    (root / "etc").mkdir(parents=True)
    (root / "etc/passwd").write_text(f"root:x:0:0::/root:/bin/sh\nme:x:{os.getuid()}:{os.getgid()}::/:/bin/sh\n")
    (root / "etc/group").write_text(f"me:x:{os.getgid()}:\n")
    return Tree(root)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "template/files"
    (folder / "src/sub").mkdir(parents=True)
    (folder / "run.sh").write_text("run\n")
    (folder / "src/sub/b").write_text("b\n")
    return folder


def test_files_get_their_place_rights_owner_and_link(image: Tree, files: Path) -> None:
    made = stack(
        {"name": "run.sh", "source": "run.sh", "rights": "0750", "ownerGroup": "me:me", "symlink": "/usr/local/bin/run"},
        {"name": "src", "source": "src", "files": [{"name": "sub", "source": "src/sub", "files": [{"name": "b", "source": "src/sub/b"}]}]},
        {"name": "other", "source": "run.sh", "destination": "/srv"},
        license={"name": "l", "source": "run.sh"},
    )
    place(image, made.bundles[0], Template(made, files.parent))
    run = image.root / "opt/tools/run.sh"
    assert (run.read_text(), stat.S_IMODE(run.stat().st_mode)) == ("run\n", 0o750)
    assert str((image.root / "usr/local/bin/run").readlink()) == "/opt/tools/run.sh"
    assert (image.root / "opt/tools/src/sub/b").read_text() == "b\n"
    assert (image.root / "srv/other").exists()
    assert (image.root / "usr/share/doc/tools/run.sh").exists()


def test_links_of_the_image_never_lead_out_of_it(image: Tree, files: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (image.root / "opt").symlink_to("../outside")
    made = stack({"name": "run.sh", "source": "run.sh"})
    with pytest.raises(ValueError, match="leads out"):
        place(image, made.bundles[0], Template(made, files.parent))
    assert list(outside.iterdir()) == []


def test_an_archive_is_extracted_and_cannot_escape(image: Tree, files: Path, tmp_path: Path) -> None:
    with tarfile.open(files / "data.tar.gz", "w:gz") as tar:
        for name in ("sub/one", "../../../../evil"):
            info = tarfile.TarInfo(name)
            info.size, info.uid, info.gid, info.mode = 3, os.getuid(), os.getgid(), 0o640
            tar.addfile(info, io.BytesIO(b"abc"))
    made = stack({"name": "data", "source": "data.tar.gz", "extract": True})
    with pytest.raises(Exception, match="refused"):
        place(image, made.bundles[0], Template(made, files.parent))
    assert (image.root / "opt/tools/sub/one").read_bytes() == b"abc"
    assert not list(tmp_path.rglob("evil"))


def test_a_sum_that_is_wrong_stops_the_build(image: Tree, files: Path) -> None:
    made = stack({"name": "run.sh", "source": "run.sh", "sha256sum": "0" * 64})
    with pytest.raises(SystemExit, match="the sha256 sum of"):
        place(image, made.bundles[0], Template(made, files.parent))


def test_packages_scripts_and_installers_are_found() -> None:
    made = stack(
        {"name": "curl_7.88.1-10_amd64.deb", "source": "x", "tag": "ospkg"},
        {"name": "boot", "source": "run.sh", "tag": "bootscript", "bootType": "everyboot", "bootOrder": 3},
        {"name": "it's.deb", "source": "run.sh", "install": True},
    )
    assert made.bundled == (Wish("curl", "7.88.1-10", "amd64"),)
    assert [(script.name, script.every_boot) for script in made.scripts] == [("boot", True)]
    nested = {"name": "d", "source": "d", "files": [{"name": "a.deb", "source": "d/a.deb", "install": True}, {"name": "b", "source": "d/b", "install": True, "destination": "/srv"}]}
    inside = parse_bundle(json.dumps({"name": "n", "version": "1", "destination": "/opt", "files": [nested]}), "b.json")
    assert [command for _, command in installers((inside,))] == ["dpkg -i '/opt/d/a.deb'", "chmod +x '/srv/b'\n'/srv/b' "]
    assert list(installers(made.bundles)) == [("it's.deb", "dpkg -i '/opt/tools/it'\\''s.deb'")]


@pytest.mark.parametrize(
    ("file", "bundle", "said"),
    [
        ({"tag": "bootscript", "rights": "755"}, {}, "has no meaning"),
        ({"destination": "relative"}, {}, "not an absolute path"),
        ({"symlink": "/a/../../b"}, {}, "'..'"),
        ({"name": ".."}, {}, "not a file name"),
        ({"extract": True}, {}, "only tar archives"),
        ({"files": [{"name": "x", "source": "y", "tag": "ospkg"}]}, {}, "first level"),
        ({}, {"restrictionRule": "Distribution#name=Debian"}, "cannot be evaluated"),
        ({}, {"oses": [{"name": "CentOS", "version": "7"}]}, "not for Debian 12"),
    ],
)
def test_a_mistake_is_named(file: dict[str, Any], bundle: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError) as caught:
        stack({"name": "a", "source": "b", **file}, **bundle)
    assert any(said in problem for problem in caught.value.problems), caught.value.problems


def test_packages_that_a_person_changes_come_and_go_with_their_files(tmp_path: Path) -> None:
    scan = tmp_path / "scan"
    scan.mkdir()
    rows = [("/a", "one", "managed"), ("/b", "two", "managed"), ("/c", "two", "conffile-changed"), ("/d", None, "unmanaged"), ("/e", "three", "conffile-changed")]
    with file_table(scan) as lines:
        for path, package, state in rows:
            lines.write(FileEntry(path=path, type="file", state=state, reason="x", mode="0644", package=package).to_json().encode() + b"\n")
    packages = [Package(name=name, version="1", arch="amd64") for name in ("one", "two", "three")]
    write_head(scan, ScanReport(packages=packages, counts={"files": 5}))
    edits = package_edits(Report(scan).head, [Wish("one", "1", "amd64"), Wish("two", "2"), Wish("new")])
    assert [package.name for package in edits.removed] == ["two", "three"]
    assert [wish.apt for wish in edits.added] == ["new", "two=2"]
    report = Report(without(scan, edits, tmp_path / "edited"))
    assert [entry.path for entry in report.files()] == ["/a", "/c", "/d"]
    assert [package.name for package in report.head.packages] == ["one"]
    assert not package_edits(Report(scan).head, [])


def test_an_interface_is_written_as_networkd_reads_it() -> None:
    text = network(Interface("eth0", "static", "disabled", (("192.0.2.5/24", "192.0.2.1"),)))
    assert text.splitlines() == [
        "[Match]", "Name=eth0", "", "[Link]", "ActivationPolicy=up", "", "[Network]", "DHCP=no", "IPv6AcceptRA=no", "LinkLocalAddressing=no",
        "Address=192.0.2.5/24", "Gateway=192.0.2.1",
    ]  # fmt: skip
