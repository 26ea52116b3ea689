"""What outlives builds, kept by content: base disks, packages, and what a set of packages resolved to.

    cache/base/KEY/            disk.raw, dpkg.log, base.json; KEY is a digest of all that decides about the disk
    cache/base/KEY.lock        held while the base is made, copied or removed
    cache/base/KEY.partial/    a base on its way into the cache: renamed when it is whole, so a build that was killed leaves no half of one
    cache/resolved/DIGEST.json the base that a plan needs, by the archive's signed indexes (`base.py`)
    cache/resolved/DIGEST.status what apt is told is there already, where all of a source is packed whole (`archive.py`)
    cache/pool/NAME.deb        packages, as apt checked them against the signed index
    cache/pool.lock            held while packages are downloaded, taken or removed
    cache/archive/RELEASE/     the lists of a release's archive

`FORGELET_CACHE_SIZE` (MiB) bounds base disks, packages and resolutions together: what was used longest ago goes first. Lists stay.
What somebody uses at the moment (its lock is held) stays too.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from scanner.host import clock
from scanner.host.locks import held_if_free
from scanner.host.run import run

SIZE_SETTING = "FORGELET_CACHE_SIZE"
DEFAULT_SIZE = 20480
"""MiB"""
MIB = 2**20


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing in the cache."""

    kind: str
    """`base`, `package`, `resolution`, `lists`, or `partial`: what a build that was killed left."""
    name: str
    what: str
    """In words: of which release, how many packages."""
    size: int
    """Bytes on disk."""
    used: float
    """When it was last used, seconds since 1970."""
    place: Path

    def told(self) -> dict[str, Any]:
        """As plain data."""
        return {**asdict(self), "place": str(self.place)}


def limit() -> int:
    """How many bytes the cache may have, by the setting; its default where that is no number."""
    asked = os.environ.get(SIZE_SETTING, "")
    return (int(asked) if asked.isdigit() else DEFAULT_SIZE) * MIB


def entries(cache: Path) -> list[Entry]:
    """Everything in the cache, what was used last first."""
    found = [*_bases(cache / "base"), *_files(cache / "pool", "*.deb", "package"), *_files(cache / "resolved", "*.*", "resolution"), *_lists(cache / "archive")]
    return sorted(found, key=lambda one: (-one.used, one.name))


def touch(path: Path) -> None:
    """Note that this was used now: by its mtime, since reading moves the other."""
    now = int(clock.now().timestamp() * 10**9)
    os.utime(path, ns=(now, now))


def prune(cache: Path, most: int) -> list[Entry]:
    """Remove what was used longest ago until at most `most` bytes are left, and what builds that were killed left; answers what went."""
    there = [one for one in entries(cache) if one.kind != "lists"]
    gone = [one for one in there if one.kind == "partial" and _removed(cache, one)]
    kept = [one for one in there if one.kind != "partial"]
    total = sum(one.size for one in kept)
    for one in reversed(kept):
        if total <= most:
            break
        if _removed(cache, one):
            gone.append(one)
            total -= one.size
    return gone


def _removed(cache: Path, one: Entry) -> bool:
    """Remove it, unless somebody uses it."""
    base = one.place.parent == cache / "base"
    lock = cache / "base" / f"{one.place.name.partition('.')[0]}.lock" if base else cache / "pool.lock"
    with held_if_free(lock) as free:
        if not free:
            return False
        if base:
            # Root made what is in it.
            run(["rm", "-rf", "--", str(one.place)], root=True)
            if not (cache / "base" / one.name).exists():
                lock.unlink(missing_ok=True)
        else:
            one.place.unlink(missing_ok=True)
        return True


def _bases(folder: Path) -> Iterator[Entry]:
    for place in sorted(folder.glob("*/")):
        if place.suffix == ".partial":
            yield Entry("partial", place.stem, "left by a build that was killed", _blocks([place]), place.stat().st_mtime, place)
        elif (record := place / "base.json").exists():
            facts = json.loads(record.read_bytes())
            what = f"{facts['codename']} {facts['arch']}, {facts['packages']} packages, {facts['disk_size']} MiB"
            yield Entry("base", place.name, what, _blocks(place.iterdir()), record.stat().st_mtime, place)
        else:
            yield Entry("base", place.name, "of a version of Forgelet that kept no record", _blocks(place.iterdir()), place.stat().st_mtime, place)


def _files(folder: Path, pattern: str, kind: str) -> Iterator[Entry]:
    for place in sorted(folder.glob(pattern)):
        info = place.stat()
        yield Entry(kind, place.name, "", info.st_blocks * 512, info.st_mtime, place)


def _lists(folder: Path) -> Iterator[Entry]:
    for place in sorted(folder.glob("*/")):
        stamp = place / "refreshed"
        yield Entry("lists", place.name, "package lists", _blocks(place.rglob("*")), (stamp if stamp.exists() else place).stat().st_mtime, place)


def _blocks(places: Iterable[Path]) -> int:
    total = 0
    for place in places:
        if place.is_dir():
            total += _blocks(place.iterdir()) if place.suffix == ".partial" else 0
        elif place.exists():
            total += place.stat().st_blocks * 512
    return total
