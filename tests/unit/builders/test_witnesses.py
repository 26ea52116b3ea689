"""Independent witnesses: what they complain of is a difference, explained only where the source shows the same."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import pytest

from builders.image import ImageFile, Witness
from builders.proof import witnesses
from builders.proof.witnesses import complaints, judge
from scanner.report import Package, Report

from .conftest import WriteReport, entry

DPKG = """\
??5?????? c /etc/nginx/nginx.conf
??5??????   /usr/bin/tampered
missing     /usr/share/doc/adduser/TODO
missing   c /etc/gone.conf
??5??????   /bin/sh
"""


def said(name: str, text: str, status: int = 0) -> Witness:
    return Witness(name=name, status=status, said=text)


@pytest.fixture
def source(write_report: WriteReport) -> Report:
    return write_report(
        [
            entry("/etc/nginx/nginx.conf", state="conffile-changed"),
            entry("/usr/bin/tampered"),
            entry("/usr/share/doc/adduser/TODO", state="missing"),
            entry("/etc/gone.conf"),
            entry("/usr/bin/sh", state="managed-changed"),
            entry("/usr/share/man", "directory", state="excluded"),
        ]
    )


def rules(source: Report, witness: Witness, explained: dict[str, str] | None = None, failed: frozenset[str] = frozenset()) -> dict[str, str | None]:
    return {one.item: one.rule for one in judge([witness], source, explained or {}, failed)[1]}


def test_what_dpkg_finds_is_explained_by_the_same_state_of_the_source_and_by_nothing_else(source: Report) -> None:
    assert rules(source, said("dpkg --verify", DPKG)) == {
        "dpkg --verify: /etc/nginx/nginx.conf": "source-too",
        "dpkg --verify: /usr/bin/tampered": None,
        "dpkg --verify: /usr/share/doc/adduser/TODO": "source-too",
        "dpkg --verify: /etc/gone.conf": None,
        "dpkg --verify: /usr/bin/sh": "source-too",
    }


LEFT = """\
??5?????? c /etc/left.conf
missing   c /etc/left.gone
??5?????? c /etc/kept.conf
missing   c /etc/own.gone
"""


def test_configuration_that_no_installed_package_ships_is_excused_where_it_is_the_sources_own(write_report: WriteReport) -> None:
    gone = Package(name="gone", version="1", arch="amd64", status="config-files", left=["/etc/left.conf", "/etc/left.gone", "/etc/kept.conf"])
    rows = [entry("/etc/left.conf", state="unmanaged"), entry("/etc/kept.conf"), entry("/etc/own", state="unmanaged")]
    assert rules(write_report(rows, packages=[gone]), said("dpkg --verify", LEFT)) == {
        "dpkg --verify: /etc/left.conf": "source-too",
        "dpkg --verify: /etc/left.gone": "source-too",
        "dpkg --verify: /etc/kept.conf": None,
        "dpkg --verify: /etc/own.gone": None,
    }
    assert set(rules(write_report(rows), said("dpkg --verify", LEFT)).values()) == {None}


def test_a_file_that_the_source_lacks_does_not_excuse_that_it_is_changed(source: Report) -> None:
    assert rules(source, said("dpkg --verify", "??5??????   /usr/share/doc/adduser/TODO")) == {"dpkg --verify: /usr/share/doc/adduser/TODO": None}
    assert rules(source, said("dpkg --verify", "missing   c /etc/nginx/nginx.conf")) == {"dpkg --verify: /etc/nginx/nginx.conf": None}


def test_what_a_scan_did_not_look_into_is_left_out(source: Report) -> None:
    assert rules(source, said("dpkg --verify", "missing     /usr/share/man/man1/x.1.gz")) == {"dpkg --verify: /usr/share/man/man1/x.1.gz": "left-out"}


@pytest.mark.parametrize(("rule", "excused"), [("translated", "translated"), ("added-package", None), ("boot", None)])
def test_that_a_file_is_an_added_packages_does_not_excuse_that_it_is_another_than_the_packages(source: Report, rule: str, excused: str | None) -> None:
    assert rules(source, said("dpkg --verify", "??5??????   /usr/lib/grub/x"), {"/usr/lib/grub/x": rule}) == {"dpkg --verify: /usr/lib/grub/x": excused}


def test_a_dpkg_that_fails_or_says_something_else_is_not_content(source: Report) -> None:
    assert list(rules(source, said("dpkg --verify", "dpkg: error: no status", 2)).values()) == [None]
    assert rules(source, said("dpkg --verify", "odd words")) == {"dpkg --verify: odd words": None}


CLOUD = "status: done\nextended_status: done\nboot_status_code: enabled-by-generator\ndetail:\nDataSourceConfigDrive\nerrors: []\nrecoverable_errors: {}"


@pytest.mark.parametrize(
    ("witness", "complains"),
    [
        (said("failed units", ""), []),
        (said("failed units", "cron.service loaded failed failed Cron\nx.mount loaded failed failed X"), ["failed unit: cron.service", "failed unit: x.mount"]),
        (said("failed units", "no bus", 1), ["failed units"]),
        (said("cloud-init status --long", CLOUD), []),
        (said("cloud-init status --long", CLOUD.replace("status: done", "status: error")), ["cloud-init status"]),
        (said("cloud-init status --long", CLOUD.replace("errors: []", "errors:\n  - ('ssh', ValueError())", 1)), ["cloud-init status"]),
        (said("cloud-init status --long", "status: running"), ["cloud-init status"]),
        (said("cloud-init status --long", ""), ["cloud-init status"]),
        (said("qemu-img check image.qcow2", "No errors were found on the image."), []),
        (said("qemu-img check image.qcow2", "3 errors were found on the image.", 2), ["qemu-img check image.qcow2"]),
        (said("qemu-img check image.qcow2", "7 leaked clusters", 3), ["qemu-img check image.qcow2"]),
        (said("qemu-img check image.raw", "This image format does not support checks", 63), []),
        (said("sfdisk", "image.qcow2:\nNo errors detected.\nlabel: dos\n1 : start= 2048"), []),
        (said("sfdisk", "image.qcow2:\nNo errors detected.\nlabel: dos"), ["sfdisk"]),
        (said("sfdisk", "1 error detected.\nlabel: dos\n1 : start= 2048"), ["sfdisk"]),
        (said("oslo.utils format inspector image.qcow2", "it has a backing file", 1), ["oslo.utils format inspector image.qcow2"]),
    ],
)
def test_every_witness_is_judged_by_what_it_says(witness: Witness, complains: list[str]) -> None:
    assert [one.item for one in complaints(witness)] == complains


def test_a_unit_that_fails_on_the_source_as_well_is_explained(source: Report) -> None:
    failed = said("failed units", "a.service loaded failed\nb.service loaded failed")
    assert rules(source, failed, failed=frozenset({"a.service"})) == {"failed unit: a.service": "source-too", "failed unit: b.service": None}


def test_each_witness_gets_its_verdict_and_the_sums_add_up(source: Report) -> None:
    heard = [said("dpkg --verify", "missing     /usr/share/doc/adduser/TODO"), said("failed units", "x.service"), said("qemu-img check a", "", 63), said("sfdisk", "No errors detected.\nstart= 1")]
    scope, rows = judge(heard, source, {})
    assert [one.verdict for one in heard] == ["explained", "contradicts", "cannot say", "agrees"]
    assert (scope.equal, scope.explained, scope.unexplained, len(rows)) == (2, 1, 1, 2)


def _image(folder: Path, format: str, *options: str) -> ImageFile:
    subprocess.run(["qemu-img", "create", "-q", "-f", format, *options, str(folder / f"image.{format}"), "4M"], check=True)
    return ImageFile(format=format, name=f"image.{format}", size=0, sha256="")


@pytest.mark.parametrize("format", ["qcow2", "vmdk", "vdi"])
def test_novas_own_check_takes_what_qemu_img_makes(tmp_path: Path, format: str) -> None:
    options = ("-o", "subformat=streamOptimized") if format == "vmdk" else ()
    file = _image(tmp_path, format, *options)
    told = witnesses._inspected(tmp_path / file.name, format)
    assert told.status == 0, told.said


def test_novas_own_check_refuses_a_backing_file(tmp_path: Path) -> None:
    base = _image(tmp_path, "raw")
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", base.name, "image.qcow2"], cwd=tmp_path, check=True)
    told = witnesses._inspected(tmp_path / "image.qcow2", "qcow2")
    assert told.status == 1
    assert "backing" in told.said


def test_novas_own_check_refuses_another_format_than_it_is_called(tmp_path: Path) -> None:
    file = _image(tmp_path, "qcow2")
    assert witnesses._inspected(tmp_path / file.name, "raw").said == "it is qcow2, not raw"
    raw = tmp_path / "image.raw"
    raw.write_bytes(b"\0" * 446 + struct.pack("<B3sB3sII", 0x80, b"\0" * 3, 0x83, b"\0" * 3, 2048, 2048) + b"\0" * 48 + b"\x55\xaa" + b"\0" * 8192)
    assert witnesses._inspected(raw, "raw").status == 0
    assert witnesses._inspected(raw, "qcow2").status == 1
