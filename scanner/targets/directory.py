"""A folder that is a machine's root: an unpacked tree, or a machine's disk mounted here."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO

from scanner.errors import NotFound
from scanner.report import Container
from scanner.targets import agent
from scanner.targets.agent import Place


class DirectoryTarget:
    """`directory:PATH`. Read as root, unless the folder is the caller's own."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def label(self) -> str:
        return f"directory:{self._path}"

    def facts(self) -> Container | None:
        """None: no engine knows more. Raises `NotFound`."""
        self._root()
        return None

    def inventory(self, excludes: Sequence[str], known: Path | None = None) -> AbstractContextManager[BinaryIO]:
        root, as_root = self._root()
        return agent.inventory(Place(root), excludes, known, as_root=as_root)

    def capture(self, paths: Path) -> AbstractContextManager[BinaryIO]:
        root, as_root = self._root()
        return agent.capture(root, paths, as_root=as_root)

    def _root(self) -> tuple[str, bool]:
        if not self._path.is_dir():
            raise NotFound(f"'{self._path}' is not a folder", hint="forgelet scan run --root PATH, with the folder that holds etc, usr, var")
        return str(self._path), self._path.stat().st_uid != os.geteuid()
