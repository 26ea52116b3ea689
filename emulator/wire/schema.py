"""UForge's XML types as data: `uforge.json`, read when the first XML is read or written (`scripts/wire_schema.py` makes it)."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

WHOLE = {"xs:int": 1 << 31, "xs:long": 1 << 63, "xs:integer": 1 << 63}
"""Whole numbers, and the first that is too large."""


@dataclass(frozen=True, slots=True)
class Simple:
    """A value without children: its XML Schema base, and its values where they are enumerated."""

    base: str
    values: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Element:
    """A child as it is declared. `place` is its position in the sequence."""

    name: str
    type: str
    place: int
    needed: bool
    many: bool
    simple: Simple | None


@dataclass(slots=True)
class Complex:
    """A type with children, inherited ones included, and the names of the types derived from it at any depth."""

    name: str
    abstract: bool
    elements: dict[str, Element]
    derived: set[str] = field(default_factory=set)

    @property
    def needed(self) -> list[str]:
        return [one.name for one in self.elements.values() if one.needed]


class Schema:
    """All types and document elements."""

    def __init__(self, told: dict[str, Any]) -> None:
        self.namespace: str = told["namespace"]
        self.roots: dict[str, str] = told["roots"]
        self._told = told["types"]
        self._simple = {name: Simple(base, frozenset(values or ())) for name, (base, values) in told["simple"].items()}
        self._made: dict[str, Complex] = {}
        self._derived: dict[str, set[str]] = {}
        for name in self._told:
            base = self._told[name][0]
            while base in self._told:
                self._derived.setdefault(base, set()).add(name)
                base = self._told[base][0]

    def type(self, name: str) -> Complex:
        """Raises `KeyError` for a name that is no complex type."""
        if name not in self._made:
            self._made[name] = Complex(name, bool(self._told[name][1]), self._elements(name), self._derived.get(name, set()))
        return self._made[name]

    def _elements(self, name: str) -> dict[str, Element]:
        base, _, inherits, own = self._told[name]
        found = dict(self.type(base).elements) if base and inherits else {}
        for child, kind, least, most in own:
            found[child] = Element(child, kind, len(found), least > 0, most == 0, self._value(kind))
        return found

    def _value(self, kind: str) -> Simple | None:
        return Simple(kind) if kind.startswith("xs:") else self._simple.get(kind)


@cache
def schema() -> Schema:
    """The one schema."""
    return Schema(json.loads(files("emulator.wire").joinpath("uforge.json").read_bytes()))
