"""The agent as a process of this machine, reading a tree that this machine can see."""

from __future__ import annotations

import fcntl
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, cast

from scanner.errors import StepFailed
from scanner.host import run
from scanner.rules import excludes as default_excludes
from scanner.targets import memory

# Isolated and without site: root must not run what lies about in somebody's folders. Appended: nothing there may shadow the library.
BOOT = "import runpy, sys; sys.path.append(sys.argv.pop(1)); runpy.run_module('scanner.agent', run_name='__main__', alter_sys=True)"
HOME = Path(__file__).resolve().parents[2]
"""The folder that holds the package `scanner`, installed or checked out."""
ROOM = 1 << 20
"""Bytes that the agent may be ahead of its reader: as many as a pipe may hold without privileges (pipe(7))."""


@dataclass(slots=True)
class Place:
    """A tree that this machine can see, and what has to be known to read it."""

    root: str
    cross: list[str] = field(default_factory=list)
    """Mount points inside that belong to the system."""
    pruned: list[str] = field(default_factory=list)
    """Where something is mounted on the live system that is not to be read; told as the mounts that they are."""
    blind: list[tuple[str, str]] = field(default_factory=list)
    """Path inside, and why it cannot be read."""


def words(place: Place, excludes: Sequence[str], known: Path | str | None = None) -> list[str]:
    """The agent's command line for phase 1; `known` as the agent itself sees it, `-` for the request's body."""
    rules = [*([rule.path, rule.name] for rule in default_excludes()), *([path, "mount"] for path in place.pruned)]
    users = [word for path in excludes for word in ("--exclude", path)]
    crossed = [word for path in place.cross for word in ("--cross", path)]
    cached = ["--known", str(known)] if known else []
    return ["inventory", "--root", place.root, "--rules", json.dumps(rules), *users, *crossed, "--blind", json.dumps(place.blind), *cached]


@contextmanager
def inventory(place: Place, excludes: Sequence[str], known: Path | None = None, *, as_root: bool = True) -> Iterator[BinaryIO]:
    """Phase 1 over a place. Raises `StepFailed` when the agent ends badly."""
    with memory.plain(known) as lines, _agent(words(place, excludes, lines), as_root=as_root) as stream:
        yield stream


@contextmanager
def capture(root: str, paths: Path, *, as_root: bool) -> Iterator[BinaryIO]:
    """Phase 2 over the tree at `root`. Raises `StepFailed` when the agent ends badly."""
    with _agent(["capture", "--root", root, "--paths", str(paths)], as_root=as_root) as stream:
        yield stream


@contextmanager
def _agent(arguments: Sequence[str], *, as_root: bool) -> Iterator[BinaryIO]:
    argv = [sys.executable, "-I", "-S", "-c", BOOT, str(HOME), *arguments]
    # A file, not a pipe: nobody reads it while the stream is read, and a full pipe would stop both.
    with tempfile.TemporaryFile() as said:
        with run.popen(argv, root=as_root, stderr=said) as process:
            assert process.stdout
            # As many as there are when all pipes together have too many.
            with suppress(OSError):
                fcntl.fcntl(process.stdout, fcntl.F_SETPIPE_SZ, ROOM)
            try:
                yield cast(BinaryIO, process.stdout)
                process.stdout.read()
            finally:
                # An agent that is still writing ends by this, also where a signal would not reach it (sudo).
                process.stdout.close()
        if process.returncode:
            said.seek(0)
            tail = said.read()[-2000:].decode(errors="replace").strip().splitlines()[-1:] or ["no output"]
            raise StepFailed(f"the scan agent ended with status {process.returncode}: {tail[0]}", hint="forgelet doctor")
