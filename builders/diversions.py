"""Files that the source's administrator told dpkg to put elsewhere: on the base they lie where their packages have them."""

from __future__ import annotations

from collections.abc import Iterable

from builders.bootable import Tree
from scanner.configuration import Diversion

ADMINISTRATOR = ":"


def divert(tree: Tree, diversions: Iterable[Diversion]) -> int:
    """Move each to where dpkg-divert(1) would have; answers how many. A package that diverts did so when it was installed."""
    moved = 0
    for one in diversions:
        if one.package != ADMINISTRATOR:
            continue
        here = tree.at(one.path, make=False)
        if not (here.is_symlink() or here.is_file()):
            continue
        there = tree.at(one.to)
        if not (there.is_symlink() or there.exists()):
            here.rename(there)
            moved += 1
    return moved
