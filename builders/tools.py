"""Which tools made an image: their versions, for its provenance."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version

from scanner.errors import MissingTool
from scanner.host.run import run

_ASKED = {"mmdebstrap": "--version", "qemu-img": "--version", "mke2fs": "-V", "dpkg-deb": "--version"}
OURS = ("forgelet", "diskimage-builder")


def versions(*names: str) -> dict[str, str]:
    """Tool -> what it says of its version, the first line; "" where it is not there."""
    return {name: _packaged(name) if name in OURS else _said(name) for name in names}


def _packaged(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


@cache
def _said(name: str) -> str:
    """Asked once a process: a job is one, and Perl's alone take a quarter of a second to answer."""
    try:
        done = run([name, _ASKED[name]], check=False)
    except MissingTool:
        return ""
    lines = (done.stdout + done.stderr).decode(errors="replace").splitlines()
    return lines[0].strip() if lines else ""
