"""What a reset took away is set aside in one move, and given back behind it: machines, mounts, loop devices, then the files.

The mounts and loop devices of a job that was ended at once move along with its folder, and are found there.
"""

from __future__ import annotations

import shutil
import threading
import uuid
from collections.abc import Iterable
from pathlib import Path

from emulator.folders import Folders
from emulator.jobs.settle import give_back


class Reaping:
    """One thread, while there is something to give back. `found` tells what was given back, in words."""

    def __init__(self, folders: Folders) -> None:
        self._folders = folders
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._found: list[str] = []

    def set_aside(self, places: Iterable[Path]) -> None:
        """Move these, which are there, out of the way, each in one step; parts of the data folder are there again, empty. `wake` gives them back."""
        heap = self._folders.trash / uuid.uuid4().hex
        for place in places:
            target = heap / place.relative_to(self._folders.data)
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            place.rename(target)
            if place.parent == self._folders.data:
                place.mkdir(mode=0o700)

    def wake(self) -> None:
        """Give back what was set aside, also by a service that ended since, in a thread of its own."""
        with self._lock:
            if self._thread is None and any(self._folders.trash.iterdir()):
                self._thread = threading.Thread(target=self._reap, name="reaping", daemon=True)
                self._thread.start()

    def state(self) -> dict[str, object]:
        """Whether there is something left to give back, and what was given back since the service started."""
        return {"pending": any(self._folders.trash.iterdir()), "givenBack": list(self._found)}

    def wait(self, timeout: float) -> bool:
        """Whether all was given back within so many seconds."""
        thread = self._thread
        if thread is not None:
            thread.join(timeout)
        return not any(self._folders.trash.iterdir())

    def _reap(self) -> None:
        while True:
            heaps = list(self._folders.trash.iterdir())
            with self._lock:
                if not heaps:
                    self._thread = None
                    return
            for heap in heaps:
                for work in (*heap.glob("jobs/*/work"), *heap.glob("cloud/instances/*")):
                    self._found += give_back(work)
                shutil.rmtree(heap, ignore_errors=True)
                if heap.exists():
                    # Something in it is root's, or held: what sweeps a dead job knows how to take it.
                    self._found += give_back(heap)
                if heap.exists():
                    self._found.append(f"could not be removed: {heap}")
                    with self._lock:
                        self._thread = None
                    return
