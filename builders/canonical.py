"""What a tree is, as one digest: two builds of the same input have the same (`python -m builders.canonical ROOT [--list]`).

Every path in order with type, mode, owner, time, contents, link target, device numbers, attributes and which paths are one file. What no
build can make the same twice is left out by the closed list `VARIES`, each with its reason.
"""

from __future__ import annotations

import hashlib
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

from builders.lastpass import tree

VARIES = {
    "/var/log/dpkg.log": "the log of this build's installation tells when each step happened",
    "/var/cache/ldconfig/aux-cache": "the loader's cache of inode numbers and change times",
}
"""Path -> why its contents differ from build to build. Its owner and mode do not."""


def lines(root: Path) -> Iterator[str]:
    """One line a path."""
    names: dict[tuple[int, int], str] = {}
    for path in tree(root):
        place = os.fsencode(f"{root}{path}")
        info = os.lstat(place)
        fields = [ascii(path), f"{info.st_mode:o}", str(info.st_uid), str(info.st_gid), _attributes(place)]
        if path not in VARIES:
            fields += [str(info.st_mtime_ns), _contents(place, info)]
        if not stat.S_ISDIR(info.st_mode) and info.st_nlink > 1:
            fields.append("is " + names.setdefault((info.st_dev, info.st_ino), ascii(path)))
        yield " ".join(fields)


def digest(root: Path) -> str:
    """sha256 of the lines, hex."""
    whole = hashlib.sha256()
    for line in lines(root):
        whole.update(line.encode() + b"\n")
    return whole.hexdigest()


def _contents(place: bytes, info: os.stat_result) -> str:
    if stat.S_ISREG(info.st_mode):
        with open(place, "rb") as data:  # noqa: PTH123  (names of any bytes)
            return hashlib.file_digest(data, "sha256").hexdigest()
    if stat.S_ISLNK(info.st_mode):
        return ascii(os.readlink(place))  # noqa: PTH115
    return f"{info.st_rdev}" if stat.S_ISCHR(info.st_mode) or stat.S_ISBLK(info.st_mode) else "-"


def _attributes(place: bytes) -> str:
    found = [(name, os.getxattr(place, name, follow_symlinks=False)) for name in sorted(os.listxattr(place, follow_symlinks=False))]
    return hashlib.sha256(repr(found).encode()).hexdigest()[:16] if found else "-"


def main(argv: list[str]) -> int:
    if "--list" in argv[1:]:
        sys.stdout.writelines(f"{line}\n" for line in lines(Path(argv[0])))
    else:
        print(digest(Path(argv[0])))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
