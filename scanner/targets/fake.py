"""A live system for tests: the real agent over a tree, in this process, with faults on order."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from scanner.agent.__main__ import inventory
from scanner.agent.capture import capture
from scanner.agent.known import Known
from scanner.agent.rules import Rules
from scanner.agent.tree import Root
from scanner.errors import NotFound, StepFailed
from scanner.report import Container
from scanner.rules import excludes as default_excludes
from scanner.targets import memory

Spoil = Callable[[bytes], bytes]


def honest(stream: bytes) -> bytes:
    """The `spoil` of a target that tells the truth."""
    return stream


class FakeTarget:
    """`fake:NAME` over the tree at `root`.

    `spoil_inventory` and `spoil_capture` change what the agent says on its way; `dies` makes both end with a bad status.
    """

    def __init__(
        self,
        root: Path,
        name: str = "machine",
        *,
        container: Container | None = None,
        spoil_inventory: Spoil = honest,
        spoil_capture: Spoil = honest,
        dies: bool = False,
    ) -> None:
        self._root_path = root
        self._name = name
        self._container = container
        self._spoil_inventory = spoil_inventory
        self._spoil_capture = spoil_capture
        self._dies = dies

    @property
    def label(self) -> str:
        return f"fake:{self._name}"

    def facts(self) -> Container | None:
        if not self._root_path.is_dir():
            raise NotFound(f"there is no '{self._name}'", hint="make its tree first")
        return self._container

    @contextmanager
    def inventory(self, excludes: Sequence[str], known: Path | None = None) -> Iterator[BinaryIO]:
        out = io.BytesIO()
        with self._root() as root:
            rules = Rules((os.fsencode(rule.path), rule.name) for rule in default_excludes())
            rules.add_users(root, [os.fsencode(path) for path in excludes])
            recalled = Known()
            with memory.plain(known) as lines:
                if lines:
                    recalled.read(io.BytesIO(lines.read_bytes()))
            inventory(root, rules, out, known=recalled)
        yield io.BytesIO(self._spoil_inventory(out.getvalue()))
        self._end()

    @contextmanager
    def capture(self, paths: Path) -> Iterator[BinaryIO]:
        out = io.BytesIO()
        with self._root() as root:
            capture(root, str(paths), out)
        yield io.BytesIO(self._spoil_capture(out.getvalue()))
        self._end()

    @contextmanager
    def _root(self) -> Iterator[Root]:
        self.facts()
        root = Root(os.fsencode(self._root_path))
        try:
            yield root
        finally:
            root.close()

    def _end(self) -> None:
        if self._dies:
            raise StepFailed("the scan agent ended with status 1: told to", hint="tell it otherwise")
