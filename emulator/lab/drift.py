"""Known changes of a live system, to hold a scanner against: which they are is a matter of the seed alone, what they do is written down."""

from __future__ import annotations

import random
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


def drift(shell: Shell, target: str, seed: int, count: int) -> Drift:
    """Make `count` random mutations, of as many kinds as the system offers; fewer when it offers no more. Raises `StepFailed`."""
    from emulator.lab.driftkinds import KINDS
    from emulator.lab.driftplan import Plan
    from emulator.lab.driftsurvey import survey

    plan = Plan(survey(shell), random.Random(seed), seed)
    made: list[Mutation] = []
    names: list[str] = []
    fruitless = 0
    while len(made) < count and fruitless < 2 * len(KINDS):
        if not names:
            names = sorted(KINDS)
            plan.random.shuffle(names)
        kind = names.pop()
        mutation = KINDS[kind](plan, kind)
        fruitless = fruitless + 1 if mutation is None else 0
        made += [mutation] if mutation else []
    shell(b"set -e\n" + b"".join(mutation.script + b"\n" for mutation in made))
    return Drift(target, seed, made)
