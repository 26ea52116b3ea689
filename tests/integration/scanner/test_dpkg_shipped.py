"""Modes and owners against what a package ships: made by dpkg-deb, installed by dpkg. The witnesses are dpkg-deb's own listing and stat(1)."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from scanner.progress import Silent
from scanner.report import FileEntry, Report
from scanner.scan import scan
from scanner.targets import open_target

LETTERS = {"r": 4, "w": 2, "x": 1, "s": 1, "t": 1, "S": 0, "T": 0, "-": 0}


def run(*words: object) -> str:
    return subprocess.run([str(word) for word in words], check=True, capture_output=True, text=True).stdout


def packed(folder: Path, name: str, packing: str) -> Path:
    tree = folder / name
    for path, mode in ((f"usr/bin/{name}", 0o755), (f"usr/bin/{name}-setuid", 0o4755), (f"usr/lib/{name}/private/key", 0o640), (f"etc/{name}.conf", 0o644)):
        file = tree / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(path)
        file.chmod(mode)
    (tree / f"usr/lib/{name}/private").chmod(0o2750)
    os.chown(tree / f"usr/lib/{name}/private", 0, 33)
    (tree / f"usr/bin/{name}-link").symlink_to(name)
    os.link(tree / f"usr/bin/{name}", tree / f"usr/bin/{name}-twin")
    (tree / "DEBIAN").mkdir()
    (tree / "DEBIAN/control").write_text(f"Package: {name}\nVersion: 1:2.0~rc1-1\nArchitecture: all\nMaintainer: Nobody <nobody@localhost>\nDescription: x\n")
    (tree / "DEBIAN/conffiles").write_text(f"/etc/{name}.conf\n")
    sums = subprocess.run(["find", "usr", "-type", "f", "-exec", "md5sum", "{}", "+"], cwd=tree, check=True, capture_output=True, text=True).stdout
    (tree / "DEBIAN/md5sums").write_text(sums)
    deb = folder / f"{name}_1%3a2.0~rc1-1_all.deb"
    run("dpkg-deb", f"-Z{packing}", "--build", tree, deb)
    return deb


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A tree with two packages, of one of which apt still has the file."""
    root = tmp_path / "root"
    for folder in ("var/lib/dpkg/info", "var/lib/dpkg/updates", "var/cache/apt/archives", "etc", "usr", "var/log"):
        (root / folder).mkdir(parents=True)
    (root / "var/lib/dpkg/status").touch()
    (root / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\nwww-data:x:33:\n")
    debs = {name: packed(tmp_path, name, packing) for name, packing in (("kept", "xz"), ("zipped", "gzip"), ("fetched", "xz"))}
    run("dpkg", "--root", root, "--force-not-root", "--force-bad-path", "--install", *debs.values())
    for name in ("kept", "zipped"):
        debs[name].rename(root / "var/cache/apt/archives" / debs[name].name)
    return root


def report(root: Path, into: Path) -> Report:
    return scan(open_target(f"directory:{root}"), into, Silent())


def shipped(root: Path, name: str) -> dict[str, tuple[str, str, str]]:
    """Mode, user and group of each path, as dpkg-deb lists the package; a link has no mode of its own."""
    lines = run("dpkg-deb", "--contents", root / f"var/cache/apt/archives/{name}_1%3a2.0~rc1-1_all.deb").splitlines()
    found = {}
    for line in lines:
        letters, owner, _, _, _, path, *_ = line.split()
        bits = [sum(LETTERS[one] for one in letters[at : at + 3]) for at in (1, 4, 7)]
        special = sum(value for value, at in ((4, 3), (2, 6), (1, 9)) if letters[at] in "sStT")
        user, group = owner.split("/")
        found["/" + path.lstrip(".").strip("/")] = ("" if letters[0] == "l" else "".join(map(str, [special, *bits])), user, group)
    return found


def test_what_differs_from_the_package_is_told_and_nothing_else(root: Path, tmp_path: Path) -> None:
    (root / "usr/bin/kept-setuid").chmod(0o755)
    os.chown(root / "usr/lib/kept/private/key", 0, 33)
    (root / "usr/lib/zipped/private").chmod(0o700)
    os.chown(root / "usr/bin/zipped-link", 33, 33, follow_symlinks=False)
    (root / "etc/kept.conf").chmod(0o600)
    (root / "usr/bin/fetched-setuid").chmod(0o755)  # nothing on the machine says what it was
    told = report(root, tmp_path / "scan")
    entries = {one.path: one for one in told.files()}

    def differs(path: str, one: FileEntry, wanted: tuple[str, str, str]) -> set[str]:
        mode, user, group = run("stat", "--format", "%04a %u %g", root / path[1:]).split()
        names = {"root": "0", "www-data": "33"}
        theirs = {"mode": mode == wanted[0] or not wanted[0], "user": user == names[wanted[1]], "group": group == names[wanted[2]]}
        return {name for name, equal in theirs.items() if not equal}

    wrong = {path: found for name in ("kept", "zipped") for path, wanted in shipped(root, name).items() if (found := differs(path, entries[path], wanted)) and path not in ("", "/")}
    assert {path: set(one.expected) for path, one in entries.items() if one.expected} == wrong
    assert sorted(wrong) == ["/etc/kept.conf", "/usr/bin/kept-setuid", "/usr/bin/zipped-link", "/usr/lib/kept/private/key", "/usr/lib/zipped/private"]
    assert {(one.state, one.reason) for path, one in entries.items() if path in wrong} == {("managed-changed", "mode-differs"), ("managed-changed", "group-differs"), ("managed-changed", "user-differs")}
    assert entries["/usr/bin/kept-setuid"].expected == {"mode": "4755"}
    assert entries["/usr/lib/kept/private/key"].expected == {"group": "root"}
    assert {one.name: one.modes for one in told.head.packages} == {"kept": True, "zipped": True, "fetched": False}


def test_a_machine_as_it_was_installed_differs_in_nothing(root: Path, tmp_path: Path) -> None:
    entries = list(report(root, tmp_path / "scan").files())
    assert [one.path for one in entries if one.expected or one.state == "managed-changed"] == []
    assert sum(one.state == "managed" for one in entries) > 20
