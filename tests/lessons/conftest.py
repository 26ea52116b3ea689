"""Lessons, played live: one service for the run. `make lessons` runs them; `make test` does not."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.bench import Bench, standing

DIFFERENT = 4
BUILDER = "builders:\n- type: openstack\n  hardwareSettings: {memory: 1024}\n  installation: {diskSize: 3000}\n"


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with standing(tmp_path_factory.mktemp("forgelet")) as made:
        yield made


class Learner:
    """Someone who takes a lesson by the command line."""

    def __init__(self, bench: Bench, lesson: str, folder: Path, word: str) -> None:
        self.cli = bench.cli
        self.lesson = lesson
        self.word = word
        self.web = folder / "web.yml"
        self.web.write_text(BUILDER)
        self._bench = bench

    def scan(self, container: str, *options: str) -> int:
        """The number of a new scan."""
        # Scans with and without an overlay are groups of their own.
        self.cli("scan", "run", "--docker", container, "--name", " ".join([self.lesson, container, *options]), *options, code=(0, 2))
        groups = self._bench.json("scan", "list")["scannedInstances"]["scannedInstance"]
        return max(int(one["dbId"]) for group in groups for one in group["scans"]["scan"])

    def build(self, scan: int) -> int:
        """The number of a new image."""
        return int(self._bench.json("scan", "build", "--id", str(scan), "--file", str(self.web))["images"]["image"][0]["dbId"])

    def missing(self, *answers: str) -> list[str]:
        """What the lesson's check does not find."""
        said = [word for answer in answers for word in ("--answer", answer)]
        told: dict[str, Any] = json.loads(self.cli("lab", "check", self.lesson, *said, "-o", "json", code=(0, DIFFERENT)))
        missing = [one["what"] for one in told["steps"] if not one["done"]]
        assert told["done"] is not bool(missing)
        return missing


@pytest.fixture
def lesson(bench: Bench, tmp_path: Path) -> Callable[[str], AbstractContextManager[Learner]]:
    """Puts a lesson up; takes it down at the end, with all that was made in it."""

    @contextmanager
    def taken(name: str) -> Iterator[Learner]:
        told = bench.json("lab", "up", name)
        try:
            yield Learner(bench, name, tmp_path, told["word"])
        finally:
            bench.cli("lab", "down", name)

    return taken
