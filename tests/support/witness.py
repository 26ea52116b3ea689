"""The tree of an image as tools that are not ours show it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def tree_of(qcow2: Path, work: Path) -> Iterator[Path]:
    """The image's only file system, mounted read-only in `work` while the block lasts."""
    raw, mount = work / "witness.raw", work / "witness"
    mount.mkdir(exist_ok=True)
    try:
        subprocess.run(["qemu-img", "convert", "-O", "raw", str(qcow2), str(raw)], check=True)
        subprocess.run(["mount", "-o", "ro,noload,loop,offset=1048576", str(raw), str(mount)], check=True)
        yield mount
    finally:
        # Of a test that is interrupted, a reader may still be at work in it.
        subprocess.run(["umount", "--lazy", str(mount)], capture_output=True, check=False)
        raw.unlink(missing_ok=True)
