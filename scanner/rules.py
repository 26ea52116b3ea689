"""The closed list of what a walk prunes, and what every reason code means: `rules.toml`."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Exclude:
    """One pruned path. `name` is the reason code of its row, `reason` says it in words."""

    name: str
    path: str
    reason: str


@cache
def _book() -> dict[str, object]:
    return tomllib.loads((Path(__file__).parent / "rules.toml").read_text(encoding="utf-8"))


def excludes() -> list[Exclude]:
    """What every scan prunes."""
    rows = _book()["exclude"]
    assert isinstance(rows, list)
    return [Exclude(**row) for row in rows]


def reasons() -> dict[str, str]:
    """Reason code -> the reason in words, for every code that a report can have."""
    codes = _book()["reasons"]
    assert isinstance(codes, dict)
    return {**codes, **{rule.name: rule.reason for rule in excludes()}}
