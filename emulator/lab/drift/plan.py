"""Where the next mutation happens: no two of them touch the same path, so that what each of them does can be foretold."""

from __future__ import annotations

import os
import random
import shlex
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from emulator.lab.drift.record import PRESENCE, Effect, Mutation
from emulator.lab.drift.survey import Path, Survey

T = TypeVar("T")
LARGEST = 1 << 20
SEEDS = 10**6
"""Numbers become those of users and groups, which end at 2^32."""
_FRAGILE = ("/etc/alternatives/", "/etc/systemd/", "/etc/init.d/", "/etc/rc", "/etc/ld.so", "/etc/pam.d/", "/etc/security/", "/etc/ssh/")
_TABLES = frozenset({"/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow", "/etc/nsswitch.conf", "/etc/dnf/plugins/versionlock.list"})


class Plan:
    """What is on offer, and what is taken. Everything is chosen from sorted lists by one random source."""

    def __init__(self, survey: Survey, source: random.Random, seed: int) -> None:
        self.survey = survey
        self.random = source
        self.seed = seed
        self._used: set[str] = set()
        self._sealed: set[str] = set()
        self._removed: set[str] = set()
        self._number = 0

    def number(self) -> int:
        """Another one at every call; with the seed in it, so that a second drift of a system has names of its own."""
        self._number += 1
        return self.seed % SEEDS * 1000 + self._number

    def one_of(self, offer: Iterable[T]) -> T | None:
        """A random one; None when there is none."""
        choice = list(offer)
        return self.random.choice(choice) if choice else None

    def take(self, name: str) -> None:
        """Nothing else happens to it."""
        self._used.add(name)

    def free(self, name: str) -> bool:
        return name not in self._used

    def new_name(self, name: str = "drift") -> str | None:
        """A path that is not there, in a folder of the system; it is taken. `name` gets a number behind it."""
        folder = self.folder()
        if folder is None:
            return None
        path = f"{folder.path}/{name}-{self.number()}"
        self.take(path)
        return path

    def file(self, wanted: Callable[[Path], bool] = lambda path: True) -> Path | None:
        """A free regular file with one name, small, dense, without attributes; it is taken."""
        return self._taken(path for path in self._plain("f") if 0 < path.size <= LARGEST and not path.sparse and not path.mode & 0o7000 and wanted(path))

    def link(self) -> Path | None:
        """A free symlink; it is taken."""
        return self._taken(path for path in self._plain("l") if not path.path.startswith("/etc/"))

    def sparse(self) -> Path | None:
        """A free file of which most is holes; it is taken."""
        return self._taken(path for path in self._plain("f") if path.size >= LARGEST and path.blocks * 1024 < path.size)

    def folder(self) -> Path | None:
        """A folder to make something in. It is not taken: others may, too."""
        return self.one_of(path for path in self._folders() if self.open_folder(path.path))

    def own_folder(self) -> Path | None:
        """A folder that is changed itself; it is taken, and what is in it stays as it is."""
        found = self._taken(path for path in self._folders() if self.free(path.path) and not self.busy(path.path))
        if found:
            self._sealed.add(found.path)
        return found

    def open_folder(self, folder: str) -> bool:
        """Whether things may come and go in it: no default ACL would pass to them."""
        return folder not in self._sealed and folder not in self.survey.attributed and folder not in self._removed

    def busy(self, folder: str) -> bool:
        """Whether something in it is taken."""
        return any(name.startswith(folder + "/") for name in self._used)

    def second_name(self) -> Path | None:
        """A free path that is not the first, in walk order, of its inode; it is taken."""
        groups: dict[str, list[Path]] = {}
        for path in self._paths():
            if path.type == "f" and path.links > 1:
                groups.setdefault(path.inode, []).append(path)
        whole = [group for group in groups.values() if len(group) == group[0].links and all(self.free(one.path) for one in group)]
        seconds = [one for group in whole for one in sorted(group, key=lambda one: os.fsencode(one.path).split(b"/"))[1:]]
        found = self.one_of(one for one in sorted(seconds, key=lambda one: one.path) if self.open_folder(parent(one.path)))
        for one in groups.get(found.inode, []) if found else []:
            self.take(one.path)
        return found

    def tree(self) -> list[Path]:
        """A folder that no package owns, with everything in it, when that is little and free; all of it is taken."""
        below: dict[str, list[Path]] = {}
        for path in self._paths():
            for folder in above(path.path):
                below.setdefault(folder, []).append(path)
        fit = [[folder, *below.get(folder.path, [])] for folder in self._folders() if folder.path.count("/") > 2]
        small = [tree for tree in fit if len(tree) <= 40 and all(self._removable(one) for one in tree)]
        found = self.one_of(tree for tree in small if not self.busy(tree[0].path) and self.open_folder(parent(tree[0].path)))
        for one in found or []:
            self.take(one.path)
            self._removed.add(one.path)
        return found or []

    def _removable(self, path: Path) -> bool:
        return self.free(path.path) and path.path not in self.survey.owned and path.path not in self._sealed and (path.type == "d" or path.links == 1)

    def _taken(self, offer: Iterable[Path]) -> Path | None:
        found = self.one_of(offer)
        if found:
            self.take(found.path)
        return found

    def _paths(self) -> list[Path]:
        return [self.survey.paths[path] for path in sorted(self.survey.paths)]

    def _plain(self, kind: str) -> Iterable[Path]:
        for path in self._paths():
            if path.type == kind and path.links == 1 and self._usable(path.path) and self.open_folder(parent(path.path)):
                yield path

    def _usable(self, path: str) -> bool:
        return self.free(path) and path not in self.survey.attributed and path not in _TABLES and not path.startswith(_FRAGILE)

    def _folders(self) -> Iterable[Path]:
        return (path for path in self._paths() if path.type == "d" and path.path.count("/") > 1 and self._usable(path.path) and not (path.path + "/").startswith(_FRAGILE))


def above(path: str) -> list[str]:
    """Every folder above a path, without the root."""
    parts = path.split("/")[1:-1]
    return ["/" + "/".join(parts[: count + 1]) for count in range(len(parts))]


def parent(path: str) -> str:
    """The folder that a path lies in."""
    return path.rpartition("/")[0] or "/"


def quoted(*words: str) -> bytes:
    """Words of a command line, with their bytes."""
    return b" ".join(os.fsencode(shlex.quote(word)) for word in words)


def changed(path: str, *fields: str) -> Effect:
    """A path that is different."""
    return Effect("files", path, fields)


def came_or_went(*paths: str) -> list[Effect]:
    """Paths that are new or gone; their folders have another time."""
    return [*(changed(path, PRESENCE) for path in paths), *(changed(parent(path), "mtime") for path in paths)]


def mutation(kind: str, what: str, script: bytes, *effects: Effect | Sequence[Effect]) -> Mutation:
    """One mutation; effects may come in lists."""
    flat = [one for effect in effects for one in ([effect] if isinstance(effect, Effect) else effect)]
    return Mutation(kind, what, script, tuple(flat))


Kind = Callable[[Plan, str], Mutation | None]
"""Makes one mutation of the kind with that name; None when the system offers no place for it."""
