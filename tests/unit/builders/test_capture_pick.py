"""Where the contents of a path go: the overlay, the archive for repacking, or nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from builders import capture
from builders.archive import PackageId
from builders.capture import archive_of, foreign, pick
from scanner.report import Package, Repository, System

from .conftest import WriteReport, entry, head_of

FOREIGN = {"tool", "libtool"}


@pytest.mark.parametrize(
    ("path", "type", "state", "package", "where"),
    [
        ("/usr/bin/nginx", "file", "managed", "nginx", None),
        ("/usr/bin/tool", "file", "managed", "tool", "foreign"),
        ("/usr/share/tool", "directory", "managed", "tool", "foreign"),
        ("/usr/lib/libtool.so", "symlink", "managed", "libtool:amd64", "foreign"),
        ("/usr", "directory", "managed", None, None),
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
    monkeypatch.setattr(capture, "archive_of", lambda head, cache: Shelf())


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
