"""A platform: one kind of cloud, one file, three verbs. What a platform cannot do yet it says (`NotSupported`)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from builders.image import Image
from builders.rehearsal import Rehearsal
from builders.spec import BuilderSpec
from scanner.progress import Progress
from scanner.report import Report


class Platform(Protocol):
    """build -> publish -> provision."""

    def rehearse(self, report: Report, specs: Sequence[BuilderSpec], cache: Path) -> list[Rehearsal]:
        """What a build by each of the specs would meet, found out before anything starts."""

    def build(self, scan: Path, spec: BuilderSpec, into: Path, work: Path, cache: Path, progress: Progress) -> Image:
        """Make the image of the scan in folder `scan` (report, overlay) into folder `into`.

        `work` is the job's own folder, swept by the caller whatever happens; `cache` outlives jobs.
        Raises `BuildFailed`, `MissingTool`, `Cancelled`.
        """
