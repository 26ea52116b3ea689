"""A million files through the service: scanned, scanned again, compared; the most memory that each process ever held meanwhile."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from bench.support import served, stopwatch, tell

FILES = 1_000_000
FOLDERS = 1000
GOAL = 200
"""MiB"""
PLACE = "/api/users/root/scannedinstances"
AGENT = "scanner.agent"
"""What an agent of this machine has on its command line."""


def make_tree(root: Path) -> None:
    """Small files, a thousand in each folder: what costs memory is the number of paths."""
    for folder in range(FOLDERS):
        here = root / f"srv/{folder:04}"
        here.mkdir(parents=True)
        for number in range(FILES // FOLDERS):
            (here / f"entry-{number:04}").write_bytes(b"%d" % number)


class Peaks:
    """The most memory of each kind of process below a service, as the kernel counts it (proc(5), VmHWM)."""

    def __init__(self, service: int) -> None:
        self.mib: dict[str, float] = {}
        self._service = service

    def look(self) -> None:
        for pid in (self._service, *_below(self._service)):
            try:
                status = Path(f"/proc/{pid}/status").read_text()
                words = Path(f"/proc/{pid}/cmdline").read_text()
            except OSError:
                continue
            held = next((int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM")), 0.0)
            kind = "service" if pid == self._service else "agent" if AGENT in words else "job"
            self.mib[kind] = max(self.mib.get(kind, 0.0), held)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Look five times a second."""
        over = threading.Event()

        def watch() -> None:
            while not over.wait(0.2):
                self.look()

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()


def _below(pid: int) -> Iterator[int]:
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = task.read_text().split()
        except OSError:
            continue
        for child in map(int, children):
            yield child
            yield from _below(child)


def _scanned(http: httpx.Client, tree: Path) -> str:
    """The path of the finished scan below the API."""
    told: dict[str, Any] = http.post(PLACE, json={"name": "million", "target": f"directory:{tree}"}).raise_for_status().json()
    over = threading.Event()
    while (job := http.get(f"/_forgelet/jobs/{told['jobId']}").json())["state"] in ("queued", "running"):
        over.wait(0.5)
    assert job["state"] == "done", job
    return str(job["subjectUri"])


def main() -> None:
    """Time is told too; what is measured is memory."""
    with tempfile.TemporaryDirectory(prefix="forgelet-bench-") as place:
        tree = Path(place) / "tree"
        make_tree(tree)
        tell(f"million: {FILES} files through the service")
        with served(Path(place) / "data") as (http, service):
            peaks = Peaks(service)
            with peaks.watched():
                for name in ("scanned", "scanned again"):
                    with stopwatch() as scanning:
                        scan = _scanned(http, tree)
                    tell(f"  {name:<28} {scanning():6.2f} s")
                ids = [one["dbId"] for one in http.get(PLACE, params={"includeScans": True}).json()["scannedInstances"]["scannedInstance"][0]["scans"]["scan"]]
                with stopwatch() as comparing, http.stream("GET", "/api/users/root/scancomparison", params={"id": ids}) as answer:
                    size = sum(len(part) for part in answer.raise_for_status().iter_bytes())
                tell(f"  {'compared':<28} {comparing():6.2f} s   ({size} bytes)")
                with stopwatch() as reading, http.stream("GET", f"/api/{scan}/files") as answer:
                    lines = sum(part.count(b"\n") for part in answer.raise_for_status().iter_bytes())
                tell(f"  {'read':<28} {reading():6.2f} s   ({lines} lines)")
            for kind, mib in sorted(peaks.mib.items()):
                tell(f"  {kind:<28} {mib:5.0f} MiB (goal {GOAL})")


if __name__ == "__main__":
    main()
