"""What a rehearsal says: one verdict a builder, each point of it with its evidence and the next step. Plain data."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field, computed_field

from builders.errors import Blocked, SpecError
from builders.image import Addition
from scanner.errors import Unreachable

SHOWN = 20
"""Items of evidence that a point names; of more it says how many."""


class Weight(StrEnum):
    """What a point does to the verdict."""

    BLOCKS = "blocks"
    CONDITION = "condition"
    NOTE = "note"
    """Good to know; the verdict is the same."""


class Outlook(StrEnum):
    """The verdict."""

    READY = "ready"
    CONDITIONS = "ready with conditions"
    BLOCKED = "blocked"


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Point(_Data):
    """One thing that a build will meet."""

    code: str
    """`package-unavailable`, `disk-too-small` …: see `builders/rehearse.py`."""
    weight: Weight
    what: str
    evidence: list[str] = Field(default_factory=list)
    next: str = ""
    place: str = ""
    """`line N, key` of the builder file where the point is about it."""

    @property
    def problem(self) -> str:
        """The point as one line of an error."""
        return f"{self.place}: {self.what}" if self.place else f"{self.code}: {self.what}"


def point(code: str, weight: Weight, what: str, evidence: Sequence[str] = (), next: str = "", place: str = "") -> Point:
    """A point whose evidence is cut to `SHOWN` items, saying so."""
    shown = [*evidence[:SHOWN], *([f"… and {len(evidence) - SHOWN} more"] if len(evidence) > SHOWN else [])]
    return Point(code=code, weight=weight, what=what, evidence=shown, next=next, place=place)


class Disk(_Data):
    """MiB."""

    asked: int
    used: int
    """What the finished file system will use, as `df` counts."""
    least: int
    """The smallest disk that would do."""


class ImageBuilder(_Data):
    """How diskimage-builder is run."""

    elements: list[str]
    arguments: list[str]
    environment: dict[str, str]
    files: dict[str, str] = Field(default_factory=dict)
    """Path -> text of an element that is generated for this source."""


class Rehearsal(_Data):
    """What one builder of the file would meet."""

    builder: int
    """Its place in the file, from 0."""
    type: str
    points: list[Point] = Field(default_factory=list)
    packages: dict[str, int] = Field(default_factory=dict)
    """Number of packages by where they come from (`builders.plan.Verdict`)."""
    additions: list[Addition] = Field(default_factory=list)
    """Everything that would be in the image and is not on the source, each with its reason."""
    disk: Disk | None = None
    image_builder: ImageBuilder | None = None
    proven: bool = True
    """False: a build of this kind was never seen to succeed, and is refused."""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def verdict(self) -> Outlook:
        weights = {point.weight for point in self.points}
        return Outlook.BLOCKED if Weight.BLOCKS in weights else Outlook.CONDITIONS if Weight.CONDITION in weights else Outlook.READY

    def of(self, weight: Weight) -> list[Point]:
        return [point for point in self.points if point.weight is weight]


def refuse(rehearsals: Sequence[Rehearsal], name: str) -> None:
    """Nothing when every builder can be built. Raises what says why not, every point at once.

    `SpecError` where the builder file asks for what cannot be, `Unreachable` where only a mirror does not answer, else `Blocked`.
    """
    points = list({point.problem: point for one in rehearsals for point in one.of(Weight.BLOCKS)}.values())
    if not points:
        return
    problems = [point.problem for point in points]
    hint = next((point.next for point in points if point.next), "")
    if all(point.code == "mirror-unreachable" for point in points):
        raise Unreachable("; ".join(point.what for point in points), hint=hint)
    kind = SpecError if all(point.place for point in points) else Blocked
    raise kind(f"the build that [{name}] asks for is blocked; nothing was started", hint=hint, problems=problems)
