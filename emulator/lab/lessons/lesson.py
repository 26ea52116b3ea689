"""A lesson as data: `catalogue.toml` has them all, in the order in which they are taught."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from scanner.errors import NotFound

CATALOGUE = Path(__file__).with_name("catalogue.toml")
GUIDES = Path(__file__).with_name("guides")


@dataclass(frozen=True)
class Stage:
    """One live system of a lesson."""

    system: str
    """The recipe, `debian12-web`"""
    name: str
    """The container: `lesson-web`"""
    prepare: str = ""
    """A script for `sh`, run as root inside when the lesson begins; `$WORD` is the lesson's own word."""
    drift: int = 0
    """How many random changes are made to it."""


@dataclass(frozen=True)
class Lesson:
    """One lesson: live systems, a task, hints, and what is looked for when the learner says that it is done."""

    name: str
    title: str
    minutes: int
    task: str
    stages: tuple[Stage, ...]
    hints: tuple[str, ...]
    answer: str
    """What is to be told with `--answer`; empty when nothing is."""

    @property
    def guide(self) -> str:
        """Its page of the documentation, as Markdown."""
        return (GUIDES / f"{self.name}.md").read_text(encoding="utf-8")


@cache
def lessons() -> dict[str, Lesson]:
    """Every lesson by its name, in the order in which they are taught."""
    return {name: _parse(name, said) for name, said in tomllib.loads(CATALOGUE.read_text(encoding="utf-8")).items()}


def find_lesson(name: str) -> Lesson:
    """Raises `NotFound`, naming those that there are."""
    found = lessons().get(name)
    if found is None:
        raise NotFound(f"there is no lesson '{name}' (there are: {', '.join(lessons())})", hint=f"forgelet lab up {next(iter(lessons()))}")
    return found


def _parse(name: str, said: dict[str, Any]) -> Lesson:
    stages = tuple(Stage(**one) for one in said["stage"])
    return Lesson(name, said["title"], said["minutes"], said["task"].strip(), stages, tuple(said["hints"]), said.get("answer", ""))
