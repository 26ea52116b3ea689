"""The keys of a seed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

from pydantic import BaseModel

from emulator.control.seeds.wanted import Seed
from reference.text import attribute_words, first, heading, model_table


def parts() -> Iterator[tuple[str, type[BaseModel]]]:
    """What each list of a seed has: its key, and the class of its members."""
    for key, one in Seed.model_fields.items():
        yield key, get_args(one.annotation)[0]


def page() -> str:
    lines = heading("Seeds", "A YAML file: what shall be there. How they are used: [Faults, the journal, seeds](../how-to/control-plane.md). Paths begin at the file's folder.")
    for key, part in parts():
        lines += [f"## {key}[]", "", first(part.__doc__), "", *model_table(part)]
    return "\n".join(lines)


def undocumented() -> Iterator[str]:
    for key, part in parts():
        words = attribute_words(part)
        yield from (f"{key}[].{name} has no docstring" for name in part.model_fields if not words.get(name))
