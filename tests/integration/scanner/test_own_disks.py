"""A running machine whose /boot is a partition of its own: the agent in a root of its own, with real mounts below."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

pytestmark = pytest.mark.docker

AGENT = """
import encodings.ascii, encodings.latin_1, locale, os, shutil, sys
from scanner.agent import __main__ as agent
from scanner.agent.tree import Root
options = agent.arguments(sys.argv[2:])
os.chroot(sys.argv[1])
os.chdir("/")
agent.perform(Root(b"/"), options, sys.stdout.buffer)
"""


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """`/boot` on a block device, `/srv` a bind mount of it, `/mnt` a file system in memory, `/image` a loop device."""
    tree = tmp_path / "root"
    for name in ("boot", "srv", "mnt", "image", "proc", "etc"):
        (tree / name).mkdir(parents=True)
    with ExitStack() as undo:

        def mount(*words: str) -> None:
            subprocess.run(["mount", *words], check=True)
            undo.callback(subprocess.run, ["umount", words[-1]], check=True)

        nodes = []
        for number in range(2):
            disk = tmp_path / f"disk{number}"
            with disk.open("wb") as out:
                out.truncate(8 << 20)
            subprocess.run(["mkfs.ext4", "-q", str(disk)], check=True)
            loop = subprocess.run(["losetup", "--show", "-f", str(disk)], check=True, capture_output=True, text=True).stdout.strip()
            undo.callback(subprocess.run, ["losetup", "-d", loop], check=True)
            nodes.append(loop)
        # Under another name it is any block device: there are no others in reach of a test.
        node = Path(f"/dev/forgelet-test-{uuid.uuid4().hex[:8]}")
        os.mknod(node, 0o600 | 0o060000, Path(nodes[0]).stat().st_rdev)
        undo.callback(node.unlink)
        mount("-t", "tmpfs", "tmpfs", str(tree))
        for name in ("boot", "srv", "mnt", "image", "proc", "etc"):
            (tree / name).mkdir()
        mount("-i", "-t", "ext4", str(node), str(tree / "boot"))
        (tree / "boot/vmlinuz").write_text("kernel")
        (tree / "boot/inner").mkdir()
        mount("--bind", str(tree / "boot"), str(tree / "srv"))
        mount("-t", "tmpfs", "tmpfs", str(tree / "mnt"))
        mount("-t", "ext4", nodes[1], str(tree / "image"))
        mount("-t", "proc", "proc", str(tree / "proc"))
        for name in ("mnt", "image"):
            (tree / name / "inside").write_text("x")
        yield tree


def test_a_partition_is_walked_and_nothing_else_that_is_mounted(root: Path) -> None:
    argv = ["unshare", "--mount", sys.executable, "-c", AGENT, str(root), "inventory", "--rules", '[["/proc", "kernel-proc"]]']
    done = subprocess.run(argv, check=False, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    lines = done.stdout.splitlines()
    rows = {one["path"]: one for one in map(json.loads, lines) if one["kind"] == "file"}
    assert rows["/boot/vmlinuz"]["state"] == "unmanaged" and "sha256" in rows["/boot/vmlinuz"]
    assert {path for path in rows if path.startswith("/boot/")} == {"/boot/vmlinuz", "/boot/inner", "/boot/lost+found"}
    assert {path: rows[path]["reason"] for path in ("/srv", "/mnt", "/image")} == dict.fromkeys(("/srv", "/mnt", "/image"), "mount")
    assert not [path for path in rows if path.startswith(("/srv/", "/mnt/", "/image/"))]
