"""What dpkg's own tools were told, in a tree of its own. The witnesses are the same tools, asked again, and GnuPG."""

from __future__ import annotations

import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

from scanner.configuration import Configuration
from scanner.progress import Silent
from scanner.scan import scan
from scanner.targets import open_target

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


def tool(root: Path, name: str, *words: str) -> list[str]:
    return subprocess.run([name, "--root", str(root), *words], check=True, capture_output=True, text=True).stdout.splitlines()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("root")
    for folder in ("var/lib/dpkg/info", "var/lib/dpkg/updates", "var/lib/dpkg/alternatives", "etc/alternatives", "usr/bin", "usr/share", "var/log"):
        (root / folder).mkdir(parents=True)
    for name in ("nano", "vi", "ed"):
        (root / "usr/bin" / name).write_text(name)
        (root / "usr/share" / f"{name}.1").write_text(name)
        slave = ["--slave", "/usr/share/editor.1", "editor.1", f"/usr/share/{name}.1"] if name != "ed" else []
        tool(root, "update-alternatives", "--install", "/usr/bin/editor", "editor", f"/usr/bin/{name}", str(len(name)), *slave)
    tool(root, "update-alternatives", "--set", "editor", "/usr/bin/vi")
    tool(root, "update-alternatives", "--install", "/usr/bin/pager", "pager", "/usr/bin/ed", "7")
    (root / "var/lib/dpkg/status").touch()
    tool(root, "dpkg-divert", "--no-rename", "--package", "wrapper", "--divert", "/usr/bin/nano.real", "--add", "/usr/bin/nano")
    tool(root, "dpkg-divert", "--no-rename", "--local", "--add", "/usr/bin/ed")
    tool(root, "dpkg-statoverride", "--add", "#0", "#33", "4750", "/usr/bin/vi")
    (root / "usr/share/keyrings").mkdir()
    (root / "usr/share/keyrings/debian.gpg").write_bytes(KEYRING.read_bytes())
    return root


@pytest.fixture(scope="module")
def told(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Configuration:
    return scan(open_target(f"directory:{root}"), tmp_path_factory.mktemp("scan"), Silent()).head.configuration


def test_alternatives_are_what_update_alternatives_says(root: Path, told: Configuration) -> None:
    theirs = [line.split() for line in tool(root, "update-alternatives", "--get-selections")]
    assert [[one.name, one.mode, one.value] for one in told.alternatives] == theirs
    assert len(theirs) == 2
    for one in told.alternatives:
        assert sorted(one.choices) == sorted(tool(root, "update-alternatives", "--list", one.name))


def test_diversions_are_what_dpkg_divert_says(root: Path, told: Configuration) -> None:
    for one in told.diversions:
        assert tool(root, "dpkg-divert", "--truename", one.path) == [one.to]
        assert tool(root, "dpkg-divert", "--listpackage", one.path) == ["LOCAL" if one.package == ":" else one.package]
    assert len(told.diversions) == len(tool(root, "dpkg-divert", "--list")) == 2


def test_statoverrides_are_what_dpkg_statoverride_says(root: Path, told: Configuration) -> None:
    theirs = tool(root, "dpkg-statoverride", "--list")
    assert [f"{one.user} {one.group} {one.mode} {one.path}" for one in told.statoverrides] == theirs
    assert len(theirs) == 1


def test_fingerprints_are_what_gnupg_says(root: Path, told: Configuration, tmp_path: Path) -> None:
    shown = subprocess.run(
        ["gpg", "--homedir", str(tmp_path), "--show-keys", "--with-colons", str(root / "usr/share/keyrings/debian.gpg")],
        check=True,
        capture_output=True,
        text=True,
    )
    rows = [line.split(":") for line in shown.stdout.splitlines()]
    keys = [row for row in rows if row[0] in ("pub", "sub", "fpr")]
    theirs = [after[9] for before, after in pairwise(keys) if before[0] == "pub" and after[0] == "fpr"]
    (key,) = told.keys
    assert key.fingerprints == theirs
    assert len(theirs) > 5
    assert {row[9].replace("\\x3a", ":") for row in rows if row[0] == "uid"} <= set(key.names)
