"""Folders, copied in no time: what is large is linked, since such files are made once and never written to again."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

LARGE = 1 << 20
"""Bytes from which a file is linked. Smaller ones may be written to (logs), and cost nothing to copy."""


def copy(source: Path, target: Path, *, without: frozenset[str] = frozenset()) -> None:
    """The tree below `source`, but for the children of these names, as `target`. What is taken away meanwhile is left out."""
    target.mkdir(parents=True, mode=0o700)
    for entry in os.scandir(source):
        if entry.name in without:
            continue
        place = target / entry.name
        try:
            if entry.is_dir(follow_symlinks=False):
                copy(Path(entry.path), place)
            elif entry.is_symlink() or entry.stat(follow_symlinks=False).st_size < LARGE:
                shutil.copy2(entry.path, place, follow_symlinks=False)
            else:
                _link(entry.path, place)
        except FileNotFoundError:
            continue


def _link(source: str, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
