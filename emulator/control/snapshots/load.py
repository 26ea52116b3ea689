"""Load a saved lab: everything is as it was then, users, keys and quotas included."""

from __future__ import annotations

import uuid
from contextlib import ExitStack
from pathlib import Path

from emulator.control.snapshots import rows, trees
from emulator.control.snapshots.shelf import Shelf, Snapshot, fit, remove
from emulator.errors import Conflict
from emulator.folders import CONTENTS
from emulator.service import Service

PATIENCE = 120.0
"""Seconds that machines of before get to end."""


def load(here: Service, name: str) -> dict[str, str]:
    """Jobs that run are ended. Answers each instance with how it is now. Raises `NotFound`, `UserError`, `Conflict`; then nothing has changed."""
    shelf = Shelf(here.folders.snapshots)
    saved, folder = fit(shelf.read(name)), shelf.find(name)
    found = rows.read(folder / "tables")
    _refuse(here, folder / "instances")
    staged = here.folders.snapshots / f".loading-{uuid.uuid4().hex}"
    try:
        trees.copy(folder / "files", staged)
        _exchange(here, saved, found, staged, (folder / "secrets.key").read_bytes() if (folder / "secrets.key").exists() else b"")
    finally:
        remove(staged)
    here.interferences.changed()
    here.reaping.wake()
    return _revive(here, folder / "instances")


def _exchange(here: Service, saved: Snapshot, found: rows.Rows, staged: Path, keys: bytes) -> None:
    """What is there for what was saved, at once."""
    with here.queue.halted(), here.journal.book.turn, ExitStack() as adopted:
        if keys:
            adopted.enter_context(here.vault.adopting(keys))
        with here.database.write() as session:
            here.journal.catch_up()
            rows.replace(session, found, saved.sequences)
            session.flush()
            here.reaping.set_aside(here.folders.contents())
            for part in CONTENTS:
                (staged / part).rename(here.folders.data / part)
            here.journal.book.mark = saved.sequences.get("job_event", 0)


def _refuse(here: Service, kept: Path) -> None:
    if not kept.exists():
        return
    from builders.clouds.frozen import obstacles

    problems = obstacles(kept, here.folders.cloud)
    if problems:
        raise Conflict("the instances of the snapshot cannot run here now", problems=problems, hint="free the ports, or load it on another machine")


def _revive(here: Service, kept: Path) -> dict[str, str]:
    if not kept.exists():
        return {}
    from builders.clouds.frozen import revive

    # They have the names of those that were set aside: both cannot be there at once.
    here.reaping.wait(PATIENCE)
    return revive(here.folders.cloud, kept)
