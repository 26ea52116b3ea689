"""A platform: one kind of cloud, one file, three verbs. What a platform cannot do yet it says (`NotSupported`)."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from builders.image import Image
from builders.spec import BuilderSpec
from scanner.progress import Progress
from scanner.report import Report


class Platform(Protocol):
    """build -> publish -> provision."""

    def check(self, report: Report, specs: list[BuilderSpec], name: str) -> None:
        """Refuse what can be seen to fail before anything starts, such as a disk too small for the contents.

        Raises `SpecError` naming every problem, the size that would do included.
        """

    def build(self, scan: Path, spec: BuilderSpec, into: Path, work: Path, cache: Path, progress: Progress) -> Image:
        """Make the image of the scan in folder `scan` (report, overlay) into folder `into`.

        `work` is the job's own folder, swept by the caller whatever happens; `cache` outlives jobs.
        Raises `BuildFailed`, `MissingTool`, `Cancelled`.
        """
