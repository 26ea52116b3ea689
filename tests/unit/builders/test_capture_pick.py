"""Where the contents of a path go: the overlay, the archive for repacking, or nowhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from builders import capture
from builders.archive import PackageId, write_status
from builders.capture import archive_of, captured, chooser, foreign, left_behind, pick, records, stanzas
from builders.errors import BuildFailed
from scanner.errors import Unreachable
from scanner.report import Package, Repository, System

from .conftest import Machine, WriteReport, entry, head_of

FOREIGN = {"tool", "libtool"}


@pytest.mark.parametrize(
    ("path", "type", "state", "package", "where"),
    [
        ("/usr/bin/nginx", "file", "managed", "nginx", None),
        ("/usr/bin/tool", "file", "managed", "tool", "foreign"),
        ("/usr/share/tool", "directory", "managed", "tool", "foreign"),
        ("/usr/lib/libtool.so", "symlink", "managed", "libtool:amd64", "foreign"),
        ("/usr", "directory", "managed", None, "foreign"),
        ("/usr/bin/toolbox", "file", "managed", "toolbox", None),
        ("/etc/nginx/nginx.conf", "file", "conffile-changed", "nginx", "overlay"),
        ("/etc/tool.conf", "file", "conffile-changed", "tool", "overlay"),
        ("/usr/bin/tool", "file", "managed-changed", "tool", "overlay"),
        ("/usr/bin/nginx", "file", "managed-changed", "nginx", "overlay"),
        ("/srv/x", "file", "unmanaged", None, "overlay"),
        ("/srv/x", "directory", "unmanaged", None, "overlay"),
        ("/srv/x", "symlink", "unmanaged", None, "overlay"),
        ("/srv/x", "fifo", "unmanaged", None, "overlay"),
        ("/srv/x", "char", "unmanaged", None, "overlay"),
        ("/srv/x", "socket", "unmanaged", None, None),
        ("/usr/share/doc/nginx/copyright", "file", "missing", "nginx", "overlay"),
        ("/usr/share/doc/tool/copyright", "file", "missing", "tool", "overlay"),
        ("/tmp", "directory", "excluded", None, None),
        ("/boot/vmlinuz-6.1", "file", "unmanaged", None, None),
        ("/etc/machine-id", "file", "unmanaged", None, None),
        ("/etc/fstab", "file", "unmanaged", None, "overlay"),
        ("/etc/shadow", "file", "unmanaged", None, "overlay"),
        ("/var/lib/dpkg/status", "file", "unmanaged", None, "foreign"),
        ("/var/lib/dpkg/info/tool.list", "file", "unmanaged", None, "foreign"),
        ("/var/lib/dpkg/info/tool.postinst", "file", "unmanaged", None, "foreign"),
        ("/var/lib/dpkg/info/libtool:amd64.list", "file", "unmanaged", None, "foreign"),
        ("/var/lib/dpkg/info/toolbox.list", "file", "unmanaged", None, None),
        ("/var/lib/dpkg/info/nginx.postinst", "file", "unmanaged", None, None),
        ("/var/lib/dpkg/statoverride", "file", "unmanaged", None, "overlay"),
    ],
)
def test_each_path_goes_where_it_is_needed(path: str, type: str, state: str, package: str | None, where: str | None) -> None:
    assert pick(entry(path, type, state, package=package), FOREIGN) == where


def test_without_foreign_packages_dpkgs_records_stay_where_they_are() -> None:
    for path in ("/var/lib/dpkg/status", "/var/lib/dpkg/info/tool.list"):
        assert pick(entry(path, state="unmanaged"), set()) is None


@pytest.mark.parametrize(
    ("path", "where"),
    [
        ("/var/lib/dpkg/status", "foreign"),
        ("/var/lib/dpkg/info/gone.list", "foreign"),
        ("/var/lib/dpkg/info/gone.postrm", "foreign"),
        ("/var/lib/dpkg/info/gone-too.list", None),
        ("/etc/gone.conf", "overlay"),
    ],
)
def test_what_dpkg_keeps_of_a_removed_package_is_brought_home(path: str, where: str | None) -> None:
    assert pick(entry(path, state="unmanaged"), set(), {"gone"}) == where


def test_records_of_a_removed_package_are_told_from_those_of_one_of_another_architecture() -> None:
    gone = Package(name="libtool", version="1", arch="i386", status="config-files")
    assert left_behind(head_of(packages=[gone])) == {"libtool", "libtool:i386"}
    assert left_behind(head_of(packages=[gone, Package(name="libtool", version="1", arch="amd64")])) == {"libtool:i386"}


def test_the_architectures_that_dpkg_was_told_of_are_the_sources() -> None:
    assert pick(entry("/var/lib/dpkg/arch", state="unmanaged"), set()) == "overlay"


class Shelf:
    """An archive that offers one package."""

    def refresh(self) -> None:
        pass

    def offers(self) -> set[PackageId]:
        return {PackageId("nginx", "amd64", "1.22")}


PACKAGES = [
    Package(name="nginx", version="1.22", arch="amd64"),
    Package(name="tool", version="1.0", arch="all"),
    Package(name="gone", version="1.0", arch="all", status="config-files"),
]


@pytest.fixture
def shelf(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "archive_of", lambda head, cache, **about: Shelf())


@pytest.mark.usefixtures("shelf")
def test_foreign_is_what_is_installed_and_not_offered_at_its_version(tmp_path: Path) -> None:
    assert foreign(head_of(packages=PACKAGES), tmp_path) == {PackageId("tool", "all", "1.0")}
    other = [Package(name="nginx", version="1.22+own", arch="amd64"), Package(name="nginx", version="1.22", arch="i386")]
    assert foreign(head_of(packages=other), tmp_path) == {PackageId("nginx", "amd64", "1.22+own"), PackageId("nginx", "i386", "1.22")}


@pytest.mark.usefixtures("shelf")
def test_of_a_system_that_cannot_be_built_nothing_is_asked(tmp_path: Path) -> None:
    assert foreign(head_of(packages=PACKAGES, system=System(distribution="Fedora")), tmp_path) == set()


@pytest.mark.usefixtures("shelf")
def test_the_chooser_knows_the_foreign_packages(write_report: WriteReport, tmp_path: Path) -> None:
    choose = capture.chooser(tmp_path)(write_report(packages=PACKAGES))
    assert choose(entry("/usr/bin/tool", package="tool")) == "foreign"
    assert choose(entry("/usr/bin/nginx", package="nginx")) is None


def test_the_archive_has_the_components_that_the_source_uses_and_no_third_partys(tmp_path: Path) -> None:
    repositories = [Repository(file="/etc/apt/sources.list", components=["main", "non-free-firmware"]), Repository(file="x", components=["stable", "nightly"])]
    archive = archive_of(head_of(repositories=repositories), tmp_path)
    assert (archive.codename, archive.arch, archive.components) == ("bookworm", "amd64", ("main", "non-free-firmware"))


@pytest.fixture
def machine(make_machine: Callable[[str], Machine]) -> Machine:
    made = make_machine("m")
    made.package("tool", {"/usr/bin/tool": b"binary"}, version="2.0", fields="Depends: libc6")
    made.package("gone", status="deinstall ok config-files")
    made.file("/srv/mine", b"mine")
    made.file("/etc/os-release", b"ID=debian\nVERSION_ID=12\nVERSION_CODENAME=bookworm\n")
    return made


def test_a_whole_scan_brings_every_package_home_without_asking_a_repository(machine: Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(capture, "foreign", lambda head, cache, **about: pytest.fail("a repository was asked"))
    report = machine.scan(choose=chooser(tmp_path, whole=True))
    assert captured(report.folder) == {"tool"}
    assert records(report.folder) == [{"Package": "tool", "Status": "install ok installed", "Architecture": "amd64", "Version": "2.0", "Depends": "libc6"}]


@pytest.mark.parametrize("error", [BuildFailed("the lists could not be fetched"), Unreachable("no mirror")])
def test_where_no_repository_can_be_reached_everything_is_brought_home_and_the_log_says_why(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception
) -> None:
    def down(head: object, cache: Path) -> set[PackageId]:
        raise error

    monkeypatch.setattr(capture, "foreign", down)
    said: list[str] = []
    report = machine.scan(choose=chooser(tmp_path, log=said.append))
    assert captured(report.folder) == {"tool"}
    assert len(said) == 1 and str(error.args[0]) in said[0]


def test_otherwise_only_what_no_repository_offers_is_brought_home(machine: Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(capture, "foreign", lambda head, cache, **about: set())
    report = machine.scan(choose=chooser(tmp_path))
    assert captured(report.folder) == frozenset()
    assert records(report.folder) == []


def test_a_removed_packages_records_are_brought_home_and_do_not_make_it_one_that_was(machine: Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(capture, "foreign", lambda head, cache, **about: set())
    report = machine.scan(choose=chooser(tmp_path))
    assert {fields["Package"] for fields in stanzas(report.folder)} == {"tool", "gone"}
    assert captured(report.folder) == frozenset()
    assert records(report.folder) == []


def test_what_was_captured_is_installed_and_held_for_apt(tmp_path: Path) -> None:
    written = write_status([{"Package": "tool", "Status": "install ok installed", "Version": "2.0"}], tmp_path / "status")
    assert written.read_text() == "Package: tool\nStatus: hold ok installed\nVersion: 2.0\n\n"
