"""What is remembered of a lesson that is up: when it began, its own word, and what was done to its live systems."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel


class Begun(BaseModel):
    """One lesson that is up; `lessons/NAME.json` in the data folder."""

    lesson: str
    since: str
    """When it began, as the service stamps time; what was made before does not count."""
    word: str
    """New each time."""
    drifted: list[str] = []
    """The paths that were changed at random."""
    hints: int = 0
    """How many were asked for."""


def file_of(data: Path, lesson: str) -> Path:
    return data / "lessons" / f"{lesson}.json"


def read(data: Path, lesson: str) -> Begun | None:
    """None when the lesson is not up."""
    file = file_of(data, lesson)
    return Begun.model_validate_json(file.read_bytes()) if file.is_file() else None


def write(data: Path, begun: Begun) -> None:
    file = file_of(data, begun.lesson)
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".partial")
    partial.write_text(begun.model_dump_json(indent=1), encoding="utf-8")
    partial.rename(file)


def forget(data: Path, lesson: str) -> bool:
    """Whether there was anything to forget."""
    file = file_of(data, lesson)
    there = file.exists()
    file.unlink(missing_ok=True)
    return there
