"""The system on the disks of a machine that is off: its root file system and what its fstab mounts below, in one tree."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from scanner.agent.tree import Root
from scanner.errors import CommandFailed, StepFailed
from scanner.host.disks import scratch_view
from scanner.host.filesystems import FileSystem, file_systems, opened, root_among, told, why_not
from scanner.host.mounts import inside

LOCAL = ("UUID=", "LABEL=", "PARTUUID=", "PARTLABEL=", "/dev/")
"""How a file system of a disk begins in fstab(5); everything else is remote or the kernel's own."""


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk as the guest names it (`vda`), where it lies here, and its format (`qcow2`, `raw`)."""

    name: str
    path: Path
    format: str


@dataclass(slots=True)
class Tree:
    """The system, mounted read-only."""

    root: Path
    crossed: list[str] = field(default_factory=list)
    """Mount points inside that belong to the system."""
    blind_spots: list[tuple[str, str]] = field(default_factory=list)
    """Path inside, and why it could not be read."""


@contextmanager
def system_of(disks: Sequence[Disk], work: Path) -> Iterator[Tree]:
    """The system on `disks`, mounted below `work` while the block lasts. The disks are not written to.

    Raises `StepFailed` when there is none, or none that can be read from here.
    """
    with ExitStack() as stack:
        found: list[FileSystem] = []
        for disk in disks:
            view = stack.enter_context(scratch_view(disk.path, disk.format, work, disk.name))
            found += file_systems(view, disk.name)
        root, *others = root_among(found, work)
        at = work / "root"
        try:
            tree = Tree(stack.enter_context(opened(root, at, replay=True)))
        except CommandFailed as error:
            raise StepFailed(f"the root file system on {root.device} cannot be mounted: {error.message}", hint="start the machine and scan it while it runs") from error
        wanted = _fstab(tree)
        for one in others:
            if not any(one.named(spec) for spec, _ in wanted):
                tree.blind_spots.append(("/", f"{one.device} holds another system, which was not read"))
        for spec, point in wanted:
            _mount(stack, tree, found, spec, point)
        yield tree


def _fstab(tree: Tree) -> list[tuple[str, str]]:
    """What the system mounts by itself from its own disks, besides `/`, outer mount points first."""
    root = Root(os.fsencode(tree.root))
    try:
        raw = root.read(b"/etc/fstab") or b""
    finally:
        root.close()
    rows = [line.split() for line in os.fsdecode(raw).splitlines() if line.strip() and not line.lstrip().startswith("#")]
    wanted = [(row[0], _plain(row[1])) for row in rows if len(row) > 2 and row[0].startswith(LOCAL) and row[1].startswith("/") and _by_itself(row)]
    return sorted(((spec, point) for spec, point in wanted if point != "/"), key=lambda one: one[1])


def _plain(point: str) -> str:
    for escape, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        point = point.replace(escape, character)
    return "/" + "/".join(part for part in point.split("/") if part not in ("", ".", ".."))


def _by_itself(row: list[str]) -> bool:
    options = row[3].split(",") if len(row) > 3 else []
    return row[2] != "swap" and "noauto" not in options and "bind" not in options


def _mount(stack: ExitStack, tree: Tree, found: Sequence[FileSystem], spec: str, point: str) -> None:
    one = next((each for each in found if each.named(spec)), None)
    why = why_not(one) if one else f"{spec} is on none of the disks that can be read ({told(found)})"
    if one and not why:
        try:
            stack.enter_context(opened(one, inside(tree.root, point), replay=True))
            tree.crossed.append(point)
        except (CommandFailed, OSError) as error:
            why = f"{one.device} cannot be mounted: {getattr(error, 'message', None) or error}"
    if why:
        tree.blind_spots.append((point, why))
