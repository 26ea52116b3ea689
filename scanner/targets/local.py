"""This machine itself, from its root, read by the agent as a process of its own."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO

from scanner.report import Container
from scanner.targets import agent
from scanner.targets.agent import Place
from scanner.targets.programs import run_within

LABEL = "local"


class LocalTarget:
    """`local`. Read as root. `root` is another tree for tests only."""

    def __init__(self, root: Path = Path("/"), *, as_root: bool = True) -> None:
        self._root = str(root)
        self._as_root = as_root

    @property
    def label(self) -> str:
        return LABEL

    def facts(self) -> Container | None:
        """None: no engine knows more."""
        return None

    def execute(self, argv: Sequence[str], timeout: float = 60.0) -> tuple[int, bytes]:
        """Run a program as root: exit status and output. Raises `StepFailed`."""
        return run_within(argv, timeout, LABEL, root=self._as_root)

    def inventory(self, excludes: Sequence[str], known: Path | None = None) -> AbstractContextManager[BinaryIO]:
        return agent.inventory(Place(self._root), excludes, known, as_root=self._as_root)

    def capture(self, paths: Path) -> AbstractContextManager[BinaryIO]:
        return agent.capture(self._root, paths, as_root=self._as_root)
