"""Mounts: made with their undo, and found again by folder."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from scanner.agent.tree import Root
from scanner.host.run import run

_ESCAPE = re.compile(r"\\([0-7]{3})")


@contextmanager
def mounted(device: Path, at: Path, options: Sequence[str] = (), *, type: str = "") -> Iterator[Path]:
    """`device` mounted at the folder `at` (made if absent); unmounted when the block is left, with all that was written on the device."""
    at.mkdir(parents=True, exist_ok=True)
    flags = [*(["-t", type] if type else []), *(["-o", ",".join(options)] if options else [])]
    run(["mount", *flags, str(device), str(at)], root=True)
    try:
        yield at
    finally:
        try:
            if "ro" not in options:
                # Unmounting writes nothing while a copy of the mount is left in another namespace: that of a container or a machine that
                # began meanwhile, where mounts are private (mount_namespaces(7)). Making the file system read-only writes in any case.
                run(["mount", "-o", "remount,ro", str(at)], root=True)
        finally:
            run(["umount", str(at)], root=True)


@contextmanager
def layered(layers: Sequence[Path], at: Path) -> Iterator[Path]:
    """Folders laid over one another, the uppermost first, read-only at `at`; unmounted when the block is left.

    The names are told relative to a folder that is common to all: the kernel takes no more than a page of options.
    """
    common = Path(os.path.commonpath(layers))
    names = [os.path.relpath(layer, common).replace("\\", "\\\\").replace(":", "\\:").replace(",", "\\,") for layer in layers]
    at.mkdir(parents=True, exist_ok=True)
    # The kernel wants two of them: an empty one below changes nothing.
    empty = at.with_name(at.name + ".empty")
    empty.mkdir()
    lower = ":".join([*names, str(empty)])
    options = f"ro,nodev,nosuid,noexec,lowerdir={lower}"
    run(["env", "-C", str(common), "mount", "-t", "overlay", "-o", options, "overlay", str(at)], root=True)
    try:
        yield at
    finally:
        run(["umount", str(at)], root=True)


@contextmanager
def bound(source: Path, at: Path) -> Iterator[Path]:
    """`source` (a folder or a file) seen read-only at `at`, which must be of its kind; unmounted when the block is left."""
    run(["mount", "--bind", str(source), str(at)], root=True)
    try:
        run(["mount", "-o", "remount,bind,ro,nodev,nosuid,noexec", str(at)], root=True)
        yield at
    finally:
        run(["umount", str(at)], root=True)


def inside(root: Path, path: str) -> Path:
    """Where `path` leads in the tree at `root`, without symlinks: no link in the tree leads out of it. Raises OSError."""
    tree = Root(os.fsencode(root))
    try:
        return Path(f"{root}{os.fsdecode(tree.resolve(os.fsencode(path)))}")
    finally:
        tree.close()


def below(folder: Path) -> list[str]:
    """Mount points at or below `folder`, deepest (latest) first. Source: /proc/self/mountinfo, field 5."""
    root = str(folder.resolve())
    points = []
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        point = _ESCAPE.sub(lambda m: chr(int(m[1], 8)), line.split(" ")[4])
        if point == root or point.startswith(root + "/"):
            points.append(point)
    return points[::-1]
