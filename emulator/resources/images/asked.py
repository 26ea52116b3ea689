"""The element `image` by which hammr asks for a build (rows 30 and 54), as a builder's spec.

What the client sends depends on the format (PROTOCOL 9.1): the memory never comes for OpenStack formats, so `MEMORY` is taken, and told.
`compress` is read and not acted upon: every format is written as small as it can be and still be a disk. It is always told as true,
because hammr downloads nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from emulator.resources.formats.catalogue import image_format
from scanner.errors import UserError

if TYPE_CHECKING:
    from builders.spec import BuilderSpec

MEMORY = 1024
"""MiB"""
NOT_BUILT = {
    "aws": "it needs an account and an upload to it",
    "docker": "it is no disk but a container image",
    "openshift": "it is no disk but a container image",
    "iso": "it is no disk but an installer",
    "pxe": "it is no disk but a network boot",
    "lxc": "it is no disk but a container's tree",
    "targz": "it is no disk but a tree",
}
"""format/name, lower case -> why it is not built here."""


def spec_of(asked: dict[str, Any], disk_size: int | None = None) -> BuilderSpec:
    """What the client asks for; `disk_size` (MiB) is taken when it names none. Raises `UserError` naming every mistake."""
    from builders.spec import DISK_SIZES, MEMORY_SIZES, SWAP_SIZES, TYPES, BuilderSpec

    kind = image_format(str((asked.get("targetFormat") or {}).get("name") or ""))
    if not kind.buildable:
        why = NOT_BUILT.get(kind.format.lower(), "its way of packing a disk is not there yet")
        raise UserError(f"an image of the format '{kind.name}' cannot be built: {why}", hint="formats that can be built: " + ", ".join(TYPES))
    profile, problems = asked.get("installProfile") or {}, list[str]()
    disk = _megabytes("diskSize", profile.get("diskSize") or disk_size, DISK_SIZES, problems)
    memory = _megabytes("memorySize", profile.get("memorySize") or MEMORY, MEMORY_SIZES, problems)
    swap = _megabytes("swapSize", profile.get("swapSize") or 0, SWAP_SIZES, problems)
    if problems:
        raise UserError("the image cannot be built as asked", problems=problems)
    return BuilderSpec(kind.name, disk, memory, (TYPES[kind.name.lower()],), swap_size=swap)


def _megabytes(name: str, value: object, limits: tuple[int, int], problems: list[str]) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and limits[0] <= value <= limits[1]:
        return value
    found = "is missing" if value is None else f"is {value}"
    problems.append(f"installProfile.{name}: {found}; it must be a whole number from {limits[0]} to {limits[1]} (MiB)")
    return 0


def profile_of(asked: dict[str, Any]) -> dict[str, Any]:
    """What of the installProfile is kept and told again: `image publish` looks for the values that were sent."""
    kept = ("swapSize", "memorySize", "hwType", "diskSize")
    return {name: value for name, value in (asked.get("installProfile") or {}).items() if name in kept}
