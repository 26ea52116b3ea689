"""UForge's query grammar (PROTOCOL, end of section 3): `field==value` or `field=='value'`, several joined by `;`, which means and.

A field may be dotted (`targetFormat.name`); with `wild`, `*` in a value stands for any characters.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scanner.errors import UserError

_CLAUSE = re.compile(r"\s*([\w.]+)\s*==\s*(?:'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"|([^;'\"]*?))\s*(?:;|$)")


@dataclass(frozen=True, slots=True)
class Query:
    """What a list is asked to keep. Empty: everything."""

    clauses: tuple[tuple[str, str], ...] = ()
    wild: bool = False

    def value(self, field: str) -> str | None:
        """What `field` is asked to be."""
        return dict(self.clauses).get(field)

    def keeps(self, data: Mapping[str, Any]) -> bool:
        """Whether `data`, under UForge's names, is asked for."""
        return all(self._same(_at(data, field), value) for field, value in self.clauses)

    def _same(self, found: Any, value: str) -> bool:
        told = str(found).lower() if isinstance(found, bool) else "" if found is None else str(found)
        return like(told, value) if self.wild else told == value


def like(text: str, pattern: str) -> bool:
    """Whether `text` is `pattern`, where `*` is any characters."""
    return re.fullmatch(".*".join(re.escape(part) for part in pattern.split("*")), text, re.DOTALL) is not None


def parse(text: str | None, *, wild: bool = False) -> Query:
    """Raises `UserError` for what is no query."""
    clauses, at, text = [], 0, (text or "").strip()
    while at < len(text):
        found = _CLAUSE.match(text, at)
        if found is None:
            raise UserError(f"query: '{text[at : at + 60]}' is not understood", hint="field=='value', several joined by ';'")
        value = next(one for one in found.groups()[1:] if one is not None)
        clauses.append((found[1], re.sub(r"\\(.)", r"\1", value)))
        at = found.end()
    return Query(tuple(clauses), wild)


def _at(data: Any, field: str) -> Any:
    for name in field.split("."):
        data = data.get(name) if isinstance(data, Mapping) else None
    return data
