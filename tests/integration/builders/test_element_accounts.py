"""The element makes the accounts that packages ask systemd-sysusers(8) for; its own hook is run on a small root, with the real tool."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from builders.dib import ELEMENTS

pytestmark = pytest.mark.dib

TELLS = '#!/bin/sh\nfor word in "$@"; do printf "%s\\0" "$word"; done > "$TOLD"\n'


def hooks(work: Path) -> list[str]:
    """What the element has mmdebstrap run in the finished root."""
    folder, told = work / "base", work / "told"
    for place in (folder, work / "bin", work / "root/etc/apt/sources.list.d"):
        place.mkdir(parents=True)
    for name, text in (("packages", "a:amd64\n"), ("architectures", "amd64"), ("codename", "bookworm")):
        (folder / name).write_text(text)
    for name, text in (("mmdebstrap", TELLS), ("sudo", '#!/bin/sh\nexec "$@"\n')):
        (work / "bin" / name).write_text(text)
        (work / "bin" / name).chmod(0o755)
    given = {"PATH": f"{work}/bin:{os.environ['PATH']}", "FORGELET_BASE": str(folder), "TARGET_ROOT": str(work / "root"), "SOURCE_DATE_EPOCH": "1", "TOLD": str(told)}
    subprocess.run(["bash", str(ELEMENTS / "forgelet-debian/root.d/10-forgelet-debian")], env=given, check=True, capture_output=True)
    return [word.removeprefix("--customize-hook=") for word in told.read_text().split("\0") if word.startswith("--customize-hook=")]


def small_root(root: Path) -> Path:
    """One that holds systemd-sysusers, what it is linked with, and a package's wish."""
    tool = Path("/usr/bin/systemd-sysusers") if Path("/bin").is_symlink() else Path("/bin/systemd-sysusers")
    linked = [word for word in subprocess.run(["ldd", str(tool)], capture_output=True, check=True, text=True).stdout.split() if word.startswith("/")]
    for place in (Path("/bin/systemd-sysusers"), *map(Path, linked)):
        copy = root / place.relative_to("/")
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(place, copy)
    for folder in ("etc", "usr/lib/sysusers.d"):
        (root / folder).mkdir(parents=True)
    (root / "usr/lib/sysusers.d/app.conf").write_text('u app-d - "The app" /srv/app\n')
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\n")
    return root


def test_an_account_that_a_package_asks_for_is_there_before_the_first_boot(tmp_path: Path) -> None:
    (hook,) = [hook for hook in hooks(tmp_path) if "sysusers" in hook]
    root = small_root(tmp_path / "small")
    # As mmdebstrap runs a hook that is no file.
    subprocess.run(["sh", "-c", hook, "exec", str(root)], check=True)
    rows = [line.split(":") for line in (root / "etc/passwd").read_text().splitlines()]
    assert [(row[0], row[4], row[5]) for row in rows] == [("root", "root", "/root"), ("app-d", "The app", "/srv/app")]


def test_a_system_without_the_tool_is_left_as_it_is(tmp_path: Path) -> None:
    (hook,) = [hook for hook in hooks(tmp_path) if "sysusers" in hook]
    (tmp_path / "bare").mkdir()
    subprocess.run(["sh", "-c", hook, "exec", str(tmp_path / "bare")], check=True)
    assert list((tmp_path / "bare").iterdir()) == []
