"""Finds out what each step of a program writes into a tree, by the change times that the kernel gives."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from builders.lastpass import tree
from scanner.host import clock

_TICK = 0.02
"""Seconds; longer than the kernel's clock of inodes ever stands still (10 ms, at 100 Hz)."""


class Steps:
    """The steps of a program that writes into the tree below `root`; `rows` has each path with the name of the step."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.rows: list[tuple[str, str]] = []
        self._folders = {path: _owned(info) for path, info in self._all() if stat.S_ISDIR(info.st_mode)}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """What the block writes is that step's. A folder that was there before is so only when it got another owner or mode."""
        clock.sleep(_TICK)
        begun = clock.of_inodes()
        yield
        for path, info in self._all():
            if info.st_ctime_ns < begun:
                continue
            if stat.S_ISDIR(info.st_mode):
                before, self._folders[path] = self._folders.get(path), _owned(info)
                if before == self._folders[path]:
                    continue
            self.rows.append((path, name))

    def _all(self) -> Iterator[tuple[str, os.stat_result]]:
        return ((path, os.lstat(f"{self.root}{path}")) for path in tree(self.root))


def _owned(info: os.stat_result) -> tuple[int, int, int]:
    return info.st_mode, info.st_uid, info.st_gid
