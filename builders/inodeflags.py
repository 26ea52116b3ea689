"""Inode flags of the source (immutable, append-only, nodump …), set when everything else on the disk is done.

Nothing can be written through most of them: so this is the last act on a disk, after the last pass and after a template's settings.
It runs as root in a process of its own (`python -m builders.inodeflags ROOT SCAN`). Source: ioctl_iflags(2).
"""

from __future__ import annotations

import fcntl
import json
import os
import struct
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path

from builders.explain import base_wins
from scanner.agent.flags import GET, LETTERS, MASK, SET, SIZE
from scanner.agent.tree import FILE, Root
from scanner.report import FileEntry, Report, State


@dataclass(slots=True)
class Flagged:
    """What was done, printed as one JSON line."""

    set: int = 0
    refused: list[str] = field(default_factory=list)
    """`PATH LETTERS: why`, printable: the file system of the image has no such flag."""


def main(argv: list[str]) -> int:
    print(json.dumps(asdict(restore(Path(argv[0]), Report(Path(argv[1]))))))
    return 0


def wanted(entry: FileEntry) -> bool:
    """Whether the image must have this path's flags."""
    return bool(entry.flags) and entry.state not in (State.MISSING, State.EXCLUDED) and not base_wins(entry.path)


def restore(root: Path, report: Report) -> Flagged:
    """Give every reported path its flags; a path that is not there, or is a link here, is passed over."""
    done, inside = Flagged(), Root(os.fsencode(root))
    try:
        for entry in filter(wanted, report.files()):
            _restore(inside, entry, done)
    finally:
        inside.close()
    return done


def _restore(inside: Root, entry: FileEntry, done: Flagged) -> None:
    head, _, name = entry.raw.rpartition(b"/")
    try:
        folder = inside.folder(head)
    except (FileNotFoundError, NotADirectoryError):
        return
    try:
        fd = os.open(name or b".", FILE, dir_fd=folder)
    except OSError:
        return
    finally:
        os.close(folder)
    try:
        put(fd, entry.flags)
        done.set += 1
    except OSError as error:
        done.refused.append(f"{entry.raw.decode(errors='backslashreplace')} {entry.flags}: {error.strerror}")
    finally:
        os.close(fd)


def put(fd: int, letters: str) -> None:
    """Exactly these of an administrator's flags on an open file or folder; those by which the file system tells of itself stay. Raises OSError."""
    (have,) = struct.unpack("l", fcntl.ioctl(fd, GET, b"\0" * SIZE))
    value = (have & ~MASK) | sum(bit for letter, bit in LETTERS if letter in letters)
    if value != have:
        fcntl.ioctl(fd, SET, struct.pack("l", value))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
