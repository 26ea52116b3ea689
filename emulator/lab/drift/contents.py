"""Mutations of what regular files hold: bytes, lengths, holes."""

from __future__ import annotations

from emulator.lab.drift.plan import Kind, Plan, changed, mutation, quoted
from emulator.lab.drift.record import Mutation


def append(plan: Plan, kind: str) -> Mutation | None:
    """To any file."""
    found = plan.file()
    return _append(kind, found.path) if found else None


def change_conffile(plan: Plan, kind: str) -> Mutation | None:
    """To a configuration file of a package."""
    found = plan.file(lambda path: path.path in plan.survey.conffiles)
    return _append(kind, found.path) if found else None


def _append(kind: str, path: str) -> Mutation:
    return mutation(kind, path, b"echo '# drift' >> " + quoted(path), changed(path, "size", "sha256", "mtime"))


def swap(plan: Plan, kind: str) -> Mutation | None:
    """One byte, while size and time stay as they were."""
    found = plan.file()
    if found is None:
        return None
    path = quoted(found.path)
    script = (
        b"touch -r " + path + b" /tmp/.drift; b=$(od -An -N1 -tu1 " + path + b" | tr -d ' ')\n"
        b'printf "\\\\$(printf %03o $(((b + 1) % 256)))" | dd of=' + path + b" bs=1 count=1 conv=notrunc status=none\n"
        b"touch -r /tmp/.drift " + path + b"; rm /tmp/.drift"
    )
    return mutation(kind, found.path, script, changed(found.path, "sha256"))


def empty(plan: Plan, kind: str) -> Mutation | None:
    """Nothing is left in it."""
    found = plan.file()
    return mutation(kind, found.path, b": > " + quoted(found.path), changed(found.path, "size", "sha256", "mtime")) if found else None


def append_hole(plan: Plan, kind: str) -> Mutation | None:
    """A mebibyte of nothing behind the end."""
    found = plan.file() if "truncate" in plan.survey.tools else None
    if found is None:
        return None
    return mutation(kind, found.path, b"truncate -s +1M " + quoted(found.path), changed(found.path, "size", "sha256", "mtime", "extents"))


def punch_hole(plan: Plan, kind: str) -> Mutation | None:
    """The first block of data becomes a hole."""
    found = plan.file(lambda path: path.size > 8192) if "fallocate" in plan.survey.tools else None
    if found is None:
        return None
    script = b"fallocate --punch-hole --offset 0 --length 4096 " + quoted(found.path)
    return mutation(kind, found.path, script, changed(found.path, "sha256", "mtime", "extents"))


def fill_holes(plan: Plan, kind: str) -> Mutation | None:
    """The same bytes, with zeros on the disk where holes were."""
    found = plan.sparse()
    if found is None:
        return None
    path = quoted(found.path)
    script = b"cp --sparse=never " + path + b" /tmp/.drift; cat /tmp/.drift > " + path + b"; rm /tmp/.drift"
    return mutation(kind, found.path, script, changed(found.path, "mtime", "extents"))


KINDS: dict[str, Kind] = {
    "content-appended": append,
    "conffile-changed": change_conffile,
    "content-swapped": swap,
    "content-emptied": empty,
    "hole-appended": append_hole,
    "hole-punched": punch_hole,
    "holes-filled": fill_holes,
}
