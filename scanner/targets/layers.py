"""The tree of a container that does not run, from its layers: overlay2 keeps them as folders that can be mounted again, read-only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from scanner.errors import CommandFailed
from scanner.host.mounts import bound, inside, layered
from scanner.host.run import run, text
from scanner.targets.agent import Place

ENGINES_OWN = {"/etc/hostname": "HostnamePath", "/etc/hosts": "HostsPath", "/etc/resolv.conf": "ResolvConfPath"}
"""What the engine mounts into every container, and where inspect names it."""
MANY = 40
"""Layers; with more, their long names would not fit into the page that the kernel takes as options."""


def here(found: dict[str, Any]) -> bool:
    """Whether the layers lie on this machine, in a form that can be mounted."""
    upper: str = (found.get("GraphDriver", {}).get("Data") or {}).get("UpperDir") or ""
    return bool(upper) and run(["test", "-d", upper], root=True, check=False).returncode == 0


@contextmanager
def mounted(found: dict[str, Any], mounts: Sequence[dict[str, Any]], work: Path, *, volumes: bool) -> Iterator[Place]:
    """The container's tree below `work`, with what the engine would mount into it. Raises `CommandFailed`."""
    data = found["GraphDriver"]["Data"]
    folders = [Path(data["UpperDir"]), *(Path(name) for name in data["LowerDir"].split(":"))]
    with ExitStack() as stack:
        root = stack.enter_context(layered(_short(folders) if len(folders) > MANY else folders, work / "root"))
        place = Place(str(root))
        for target, key in ENGINES_OWN.items():
            _bind(stack, root, found.get(key) or "", target)
        for one in mounts:
            why = _bind(stack, root, one["Source"], one["Destination"])
            if volumes and why:
                place.blind.append((one["Destination"], why))
            elif volumes:
                place.cross.append(one["Destination"])
        yield place


def _bind(stack: ExitStack, root: Path, source: str, target: str) -> str:
    """Show `source` at `target` inside the tree; why that could not be done."""
    if not source:
        return "the engine names no source"
    try:
        # Resolved inside: a link in the container must not lead the mount to a place of this machine.
        at = inside(root, target)
    except OSError as error:
        return f"its mount point cannot be found: {error.strerror}"
    if run(["test", "-e", str(at)], root=True, check=False).returncode:
        return "its mount point is not there: the container has never run"
    try:
        stack.enter_context(bound(Path(source), at))
    except CommandFailed as error:
        return f"it cannot be mounted: {error.message}"
    return ""


def _short(folders: Sequence[Path]) -> list[Path]:
    """The same folders by the short names that overlay2 keeps for that purpose: the file `link` beside each names one in `l`."""
    names = [text(["cat", str(folder.parent / "link")], root=True) for folder in folders]
    return [folder.parents[1] / "l" / name for folder, name in zip(folders, names, strict=True)]
