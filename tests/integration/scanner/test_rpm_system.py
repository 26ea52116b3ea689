"""A system of rpm packages that are built here and lived in. The witnesses are rpm's own: `rpm -Va`, `rpm -qla`, `rpm -qf`.

There is no repository of rpm packages in reach, so rpmbuild makes some; rpm installs them into a folder.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from scanner.progress import Silent
from scanner.report import FileEntry, Report
from scanner.scan import scan
from scanner.targets import open_target

TOOL = r"""
Name: tool
Epoch: 2
Version: 1.4
Release: 3.el9
Summary: A tool
License: MIT
Group: Applications/Text
BuildArch: noarch
ModularityLabel: tools:1:20240101:abcd
%define __spec_install_post %{nil}
%description
A tool.
%install
cd %{buildroot}
mkdir -p usr/bin etc usr/share/tool var/log var/lib/tool srv "srv/a b"
for name in tool chmodded chowned touched capped grown; do echo $name > usr/bin/$name; done
for name in kept edited loose mode-only; do echo $name > etc/$name.conf; done
echo accounts > etc/accounts
for name in one two three replaced; do echo $name > usr/share/tool/$name; done
echo blank > "srv/a b/c d"
ln -s tool usr/bin/alias; ln -s tool usr/bin/bent; ln usr/bin/tool usr/bin/twin
touch var/log/tool.log var/log/absent.log
%files
%defattr(0644,root,root,0755)
%attr(0755,root,root) /usr/bin/tool
%attr(0755,root,root) /usr/bin/twin
%attr(0755,root,root) /usr/bin/chmodded
/usr/bin/chowned
/usr/bin/touched
/usr/bin/grown
%caps(cap_net_raw,cap_net_bind_service=ep) %attr(0755,root,root) /usr/bin/capped
/usr/bin/alias
/usr/bin/bent
%config(noreplace) %attr(0640,root,web) /etc/kept.conf
%config /etc/edited.conf
%config(missingok) /etc/loose.conf
%config /etc/mode-only.conf
%config(noreplace) %verify(not md5 size mtime) /etc/accounts
%ghost %attr(0600,root,root) /var/log/tool.log
%ghost /var/log/absent.log
%dir %attr(0750,web,web) /var/lib/tool
%dir /usr/share/tool
/usr/share/tool/*
"/srv/a b/c d"
%dev(c, 1, 3) %attr(0666,root,root) /srv/node
"""
OTHER = r"""
Name: other
Version: 1
Release: 1
Summary: Another
License: MIT
BuildArch: noarch
%define _binary_filedigest_algorithm 1
%description
Another, with MD5 digests.
%install
mkdir -p %{buildroot}/usr/share/tool %{buildroot}/usr/share/other
echo 1 > %{buildroot}/usr/share/other/one; echo 2 > %{buildroot}/usr/share/other/two
%files
%dir /usr/share/tool
%dir /usr/share/other
/usr/share/other/*
"""
LIVE_IN = r"""
set -e
cd "$1"
echo longer >> usr/bin/grown
chmod 0700 usr/bin/chmodded
chown 33:33 usr/bin/chowned
touch -d '2001-02-03 04:05:06 UTC' usr/bin/touched
setcap -r usr/bin/capped
ln -sfn elsewhere usr/bin/bent
echo changed > etc/edited.conf
rm etc/loose.conf
chmod 0600 etc/mode-only.conf
echo lived-in >> etc/accounts
rm usr/share/tool/two usr/share/other/two
rm usr/share/tool/three; mkdir usr/share/tool/three
echo 3 > usr/share/other/one
chmod 0755 var/lib/tool
mkdir -p var/log; echo entries > var/log/tool.log; chmod 0644 var/log/tool.log
rm srv/node; mknod -m 0666 srv/node c 1 5
echo mine > srv/mine; mkdir -p opt/app; echo app > opt/app/run
rm -r "srv/a b"
"""
LETTERS = {"size": "S", "mode": "M", "digest": "5", "device": "D", "target": "L", "user": "U", "group": "G", "mtime": "T", "caps": "P"}


class RpmSystem:
    """A root with packages in it, and rpm's word on it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._rpm = ["rpm", "--root", str(root), "--dbpath", "/var/lib/rpm", "--define", "_db_backend sqlite"]

    def rpm(self, *words: str) -> list[str]:
        """Lines that rpm answers; a verification that finds something ends with another status than 0."""
        done = subprocess.run([*self._rpm, *words], capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"})
        assert not [line for line in done.stderr.splitlines() if "error:" in line], done.stderr
        return done.stdout.splitlines()


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("rpmbuild")
    for name, spec in (("tool", TOOL), ("other", OTHER)):
        (folder / f"{name}.spec").write_text(spec)
        where = ["--define", f"_topdir {folder}/top", "--define", f"_rpmdir {folder}/out"]
        subprocess.run(["rpmbuild", "-bb", "--quiet", *where, f"{folder}/{name}.spec"], check=True, capture_output=True)
    return [str(path) for path in sorted((folder / "out").rglob("*.rpm"))]


@pytest.fixture(scope="module")
def system(packages: list[str], tmp_path_factory: pytest.TempPathFactory) -> RpmSystem:
    root = tmp_path_factory.mktemp("root")
    root.chmod(0o755)
    (root / "etc").mkdir()
    (root / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\nweb:x:33:33::/:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\nweb:x:33:\n")
    (root / "etc/os-release").write_text('ID="centos"\nNAME="CentOS Stream"\nVERSION_ID="9"\n')
    made = RpmSystem(root)
    made.rpm("-i", "--nodeps", "--noscripts", *packages)
    subprocess.run(["sh", "-c", LIVE_IN, "live-in", str(root)], check=True)
    return made


@pytest.fixture(scope="module")
def report(system: RpmSystem, tmp_path_factory: pytest.TempPathFactory) -> Report:
    return scan(open_target(f"directory:{system.root}"), tmp_path_factory.mktemp("scan"), Silent())


@pytest.fixture(scope="module")
def entries(report: Report) -> dict[str, FileEntry]:
    return {entry.path: entry for entry in report.files()}


def verified(system: RpmSystem) -> dict[str, str]:
    """Path -> the letters of what rpm found, or `missing`."""
    found = {}
    for line in system.rpm("-Va"):
        match = re.fullmatch(r"(\S+) +(?:[cdglr] )?(/.*)", line)
        assert match, line
        what, path = match.groups()
        found[path] = what if what == "missing" else "".join(letter for letter in what if letter not in ".?")
    return found


def test_packages_are_what_rpm_says(system: RpmSystem, report: Report) -> None:
    lines = system.rpm("-qa", "--qf", "%{NAME} %{EVR} %{ARCH} %{SIZE} %{MODULARITYLABEL}\n")
    ours = [f"{one.name} {one.version} {one.arch} {one.size} {one.module or '(none)'}" for one in report.head.packages]
    assert sorted(ours) == sorted(lines)
    assert len(lines) == 2
    assert report.head.blind_spots == []


def test_every_path_that_rpm_lists_is_told_with_its_owner(system: RpmSystem, entries: dict[str, FileEntry]) -> None:
    listed = set(system.rpm("-qla"))
    owned = {path for path, one in entries.items() if one.package or (one.state == "managed" and one.type == "directory")}
    # What may be missing and is, has no row.
    assert listed - owned == {"/etc/loose.conf", "/var/log/absent.log"}
    # A missing folder that no package lists is told for the sake of what was in it.
    assert owned <= listed
    for path in sorted(owned & listed):
        owners = system.rpm("-qf", "--qf", "%{NAME}\n", path) if entries[path].state != "missing" else []
        assert entries[path].package is None if len(owners) > 1 else not owners or entries[path].package == owners[0], path


def test_what_differs_is_what_rpm_finds(system: RpmSystem, entries: dict[str, FileEntry]) -> None:
    theirs = verified(system)
    ours = {}
    for path, one in entries.items():
        if one.state == "missing" and one.package:
            ours[path] = "missing"
        elif one.expected and "type" not in one.expected:
            ours[path] = "".join(letter for key, letter in LETTERS.items() if key in one.expected)
    assert theirs.pop("/usr/share/tool/three").startswith("M"), "a folder took a file's place: rpm compares the mode with the type in it"
    assert (entries["/usr/share/tool/three"].state, entries["/usr/share/tool/three"].reason) == ("managed-changed", "type-differs")
    assert ours.pop("/etc/accounts") == "5", "not to be verified, says its package; a build must know all the same"
    assert ours == theirs
    assert set("".join(letters for letters in theirs.values() if letters != "missing")) == set("SM5DLUGTP"), "every kind of difference is here"


@pytest.mark.parametrize(
    ("path", "state", "reason"),
    [
        ("/usr/bin/tool", "managed", "digest-equal"),
        ("/usr/bin/twin", "managed", "digest-equal"),
        ("/usr/share/other/one", "managed-changed", "digest-differs"),
        ("/usr/bin/grown", "managed-changed", "digest-differs"),
        ("/usr/bin/chmodded", "managed-changed", "mode-differs"),
        ("/usr/bin/capped", "managed-changed", "caps-differs"),
        ("/usr/bin/bent", "managed-changed", "target-differs"),
        ("/etc/kept.conf", "managed", "digest-equal"),
        ("/etc/edited.conf", "conffile-changed", "conffile-digest"),
        ("/etc/accounts", "conffile-changed", "conffile-digest"),
        ("/etc/mode-only.conf", "managed-changed", "mode-differs"),
        ("/var/log/tool.log", "unmanaged", "ghost"),
        ("/usr/share/tool/two", "missing", "deleted"),
        ("/srv/a b/c d", "missing", "deleted"),
        ("/srv/mine", "unmanaged", "not-in-any-package"),
    ],
)
def test_states_are_what_was_done(entries: dict[str, FileEntry], path: str, state: str, reason: str) -> None:
    assert (entries[path].state, entries[path].reason) == (state, reason)


def test_every_path_on_the_disk_is_in_one_row_and_no_other_is(system: RpmSystem, entries: dict[str, FileEntry]) -> None:
    raw = subprocess.run(["find", ".", "-printf", "/%P\\0"], cwd=system.root, capture_output=True, check=True).stdout
    on_disk = {os.fsdecode(path) for path in raw.split(b"\0")[:-1]}
    assert {path for path, one in entries.items() if one.state != "missing"} == on_disk
