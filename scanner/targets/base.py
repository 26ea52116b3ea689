"""How a live system is reached: one Protocol, whatever it is."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO, Protocol

from scanner.report import Facts


class Target(Protocol):
    """A live system that can be scanned. Errors: `NotFound`, `Unreachable`, `StepFailed`."""

    @property
    def label(self) -> str:
        """`docker:web`, `directory:/mnt/x`: how the target is named in the report and in messages."""

    def facts(self) -> Facts | None:
        """What only the engine knows; None where there is no engine. Raises when the target is not there."""

    def inventory(self, excludes: Sequence[str], known: Path | None = None) -> AbstractContextManager[BinaryIO]:
        """Phase 1: the agent's NDJSON (see `scanner/agent/__main__.py`), plain, as a stream. `known` is what an earlier scan left in
        `scan.KNOWN`: what stayed as it was is not read again."""

    def capture(self, paths: Path) -> AbstractContextManager[BinaryIO]:
        """Phase 2: a pax tar of the paths named in the file `paths` (NUL-separated, raw bytes, walk order), plain, as a stream."""
