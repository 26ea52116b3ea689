"""What a drift wrote down: each change, and what it makes of each path or row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

PRESENCE = "presence"
"""The only field of an effect by which something comes or goes."""

Shell = Callable[[bytes], bytes]
"""Runs a script by sh, as root, on the live system; gives back its standard output. Raises `StepFailed`."""


@dataclass(frozen=True, slots=True)
class Effect:
    """What one mutation makes of one path, package, account or service, in the words of a comparison."""

    scope: str
    """`files`, `packages`, `users` or `services`"""
    name: str
    """An absolute path (bytes that are not UTF-8 are lone surrogates), or the key of a row."""
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Mutation:
    """One change: what was done, and everything that is different afterwards."""

    kind: str
    what: str
    script: bytes
    effects: tuple[Effect, ...]

    def told(self) -> dict[str, Any]:
        effects = [{"scope": one.scope, "name": one.name, "fields": list(one.fields)} for one in self.effects]
        return {"kind": self.kind, "what": self.what, "effects": effects}


@dataclass(frozen=True, slots=True)
class Drift:
    """All that was done to one live system."""

    target: str
    seed: int
    mutations: Sequence[Mutation] = field(default_factory=list)

    def expected(self) -> list[Effect]:
        """The effects of all mutations together, one a path or row, by scope and name."""
        merged: dict[tuple[str, str], set[str]] = {}
        for mutation in self.mutations:
            for effect in mutation.effects:
                merged.setdefault((effect.scope, effect.name), set()).update(effect.fields)
        return [Effect(scope, name, _alone(fields)) for (scope, name), fields in sorted(merged.items())]

    def told(self) -> dict[str, Any]:
        """As plain data, for a file."""
        expected = [{"scope": one.scope, "name": one.name, "fields": list(one.fields)} for one in self.expected()]
        return {"target": self.target, "seed": self.seed, "mutations": [one.told() for one in self.mutations], "expected": expected}


def _alone(fields: Iterable[str]) -> tuple[str, ...]:
    """What comes or goes has no other differences."""
    return (PRESENCE,) if PRESENCE in fields else tuple(sorted(fields))
