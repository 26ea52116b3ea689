"""How large a disk must be: what the source's entries and the added packages take on it, computed before anything is built."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from builders.explain import base_wins
from scanner.report import FileEntry, Report, State

BLOCK = 4096
MIB = 2**20
GENERATED_MIB = 90
"""What no package lists: initramfs, module indexes, GRUB's folder, byte code beside added Python modules, dpkg's records of what is added."""
ADDED_FILES = 15000
"""At most what is added has as many paths."""
RESERVE_MIB = 200
"""Free space that a fresh machine needs for its first boot: logs, cloud-init's records, temporary files."""
_OVERHEAD = 1 - 256 / 8192 - 0.01
"""256 bytes of inode for every 8 KiB and 1 % reserved for root: the file system that the base disk gets."""
_JOURNAL_MIB = 16


@dataclass(frozen=True, slots=True)
class Size:
    """MiB."""

    source: int
    """What the source's own paths take."""
    added: int
    """What is added, generated files included."""
    files: int = 0
    """Number of the source's paths: the file system has one inode for every 8 KiB."""

    @property
    def used(self) -> int:
        """What `df` will say that the finished file system uses."""
        return self.source + self.added

    @property
    def least(self) -> int:
        """The smallest disk that holds it."""
        by_blocks = (self.used + RESERVE_MIB + _JOURNAL_MIB) / _OVERHEAD
        return int(max(by_blocks, (self.files + ADDED_FILES) * 8192 / MIB)) + 1


def size_of(report: Report | None, added: Iterable[Mapping[str, str]]) -> Size:
    """`added`: index entries of the packages that the source lacks (`Installed-Size` is in KiB, Debian policy 5.6.20)."""
    blocks = files = 0
    for entry in report.files() if report else ():
        if _lands(entry):
            blocks += _blocks(entry)
            files += entry.hardlink in (None, entry.path)
    packages = sum(int(fields.get("Installed-Size") or 0) for fields in added)
    return Size(-(-blocks * BLOCK // MIB), -(-packages // 1024) + GENERATED_MIB, files)


def _lands(entry: FileEntry) -> bool:
    # What packages put into /boot is on both; what they generate there is counted as generated.
    own = base_wins(entry.path) and entry.state != State.MANAGED
    return entry.state not in (State.MISSING, State.EXCLUDED) and not own


def _blocks(entry: FileEntry) -> int:
    if entry.type == "directory":
        return 1
    if entry.type != "file" or entry.hardlink not in (None, entry.path):
        return 0
    data = sum(length for _, length in entry.extents) if entry.extents is not None else entry.size
    return -(-data // BLOCK)
