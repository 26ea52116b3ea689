"""Known changes of a live system, to hold a scanner against: which they are is a matter of the seed alone, what they do is written down."""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence

from emulator.lab.drift.kinds import KINDS
from emulator.lab.drift.plan import Plan
from emulator.lab.drift.record import Drift, Mutation, Shell
from emulator.lab.drift.survey import AREAS, survey


def drift(shell: Shell, target: str, seed: int, count: int, areas: Sequence[str] = AREAS, kinds: Collection[str] = KINDS) -> Drift:
    """Make `count` random mutations below `areas`, of as many of the `kinds` as the system offers; fewer when it offers no more.

    Records (accounts, packages, services) are where the system has them. Raises `StepFailed`.
    """
    plan = Plan(survey(shell, areas), random.Random(seed), seed)
    made: list[Mutation] = []
    names: list[str] = []
    fruitless = 0
    while len(made) < count and fruitless < 2 * len(kinds):
        if not names:
            names = sorted(kinds)
            plan.random.shuffle(names)
        kind = names.pop()
        mutation = KINDS[kind](plan, kind)
        fruitless = fruitless + 1 if mutation is None else 0
        made += [mutation] if mutation else []
    shell(b"set -e\n" + b"".join(mutation.script + b"\n" for mutation in made))
    return Drift(target, seed, made)
