"""Load a saved lab: everything is as it was then, users, keys and quotas included."""

from __future__ import annotations

import uuid
from contextlib import ExitStack
from pathlib import Path

from emulator.control.snapshots import determinism, rows, trees
from emulator.control.snapshots.determinism import Determinism
from emulator.control.snapshots.shelf import Shelf, Snapshot, fit, remove
from emulator.errors import Conflict
from emulator.folders import SAVED
from emulator.jobs.clouds import Leftover, leftovers, take_away
from emulator.service import Service

PATIENCE = 120.0
"""Seconds that machines of before get to end."""


def load(here: Service, name: str) -> dict[str, str]:
    """Jobs and a seed that are under way are ended. Answers each instance with how it is now. Raises `NotFound`, `UserError`, `Conflict`; then nothing has changed."""
    shelf = Shelf(here.folders.snapshots)
    saved, folder = fit(shelf.read(name)), shelf.find(name)
    found, when = rows.read(folder / "tables"), determinism.read(folder)
    _refuse(here, folder / "instances")
    staged = here.folders.snapshots / f".loading-{uuid.uuid4().hex}"
    try:
        trees.copy(folder / "files", staged)
        elsewhere = _exchange(here, saved, found, staged, (folder / "secrets.key").read_bytes() if (folder / "secrets.key").exists() else b"", when)
    finally:
        remove(staged)
    here.interferences.changed()
    here.reaping.wake()
    take_away(here.folders, elsewhere)
    return _revive(here, folder / "instances")


def _exchange(here: Service, saved: Snapshot, found: rows.Rows, staged: Path, keys: bytes, when: Determinism | None) -> list[Leftover]:
    """What is there for what was saved, at once. Answers what jobs that were ended had begun in clouds elsewhere."""
    with here.seeding.halted(), here.queue.halted(), here.journal.book.turn, ExitStack() as adopted:
        with here.database.read() as before:
            elsewhere = leftovers(before, here.vault)
        if keys:
            adopted.enter_context(here.vault.adopting(keys))
        with here.database.write() as session:
            here.journal.catch_up()
            rows.replace(session, found, saved.sequences)
            session.flush()
            parts = [part for part in SAVED if (staged / part).exists()]
            here.reaping.set_aside([here.folders.data / part for part in parts])
            for part in parts:
                (staged / part).rename(here.folders.data / part)
            if when is not None:
                determinism.put(when)
            here.journal.book.mark = saved.sequences.get("job_event", 0)
    return elsewhere


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
