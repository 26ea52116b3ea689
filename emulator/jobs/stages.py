"""The named points of every job: where progress is told, cancels are seen and faults can be set.

The rooms say bare names (`inventory`); with the kind of the job before it (`scan.inventory`) a name is known to users.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from scanner.errors import UserError


class Reach(NamedTuple):
    """How far a job comes in a stage: where faults within it can be met."""

    percent: tuple[int, int] | None = None
    """The lowest and the highest percentage of the whole job that is told in the stage, by whatever kind of system or cloud; None: none is."""
    moves: bool = False
    """Whether the bytes that pass are counted."""


STAGES = {
    "scan.inventory": Reach((0, 100)),
    "scan.capture": Reach((70, 100)),
    "build.plan": Reach((2, 2)),
    "build.base": Reach((8, 18)),
    "build.last-pass": Reach((70, 70)),
    "build.convert": Reach((82, 82)),
    "build.check": Reach((94, 94)),
    "export.pack": Reach(),
    "import.read": Reach(),
    "scan-import.copy": Reach(),
    "bundle-export.pack": Reach(),
    "bundle-import.read": Reach(),
    "publish.check": Reach(),
    "publish.upload": Reach((10, 90), moves=True),
    "provision.place": Reach(),
    "provision.disk": Reach((30, 30)),
    "provision.start": Reach((60, 70)),
    "verify.boot": Reach((5, 5)),
    "verify.ask": Reach((45, 45)),
    "verify.read": Reach((70, 70)),
    "verify.compare": Reach((90, 90)),
}


def unreachable(stage: str, percent: int | None, after: int | None) -> list[str]:
    """Why no job ever comes to this point of a known stage; nothing when one does."""
    reach, found = STAGES[stage], []
    if percent is not None and reach.percent is None:
        found.append(f"percent: {stage} tells no percentage; leave it away, and it happens when the stage begins")
    elif percent is not None and reach.percent is not None and percent > reach.percent[1]:
        low, high = reach.percent
        found.append(f"percent: in {stage} a job is at {low if low == high else f'{low} to {high}'} %, never at {percent} %{_later(stage, percent)}")
    if after is not None and not reach.moves:
        found.append(f"after: {stage} counts no bytes; these do: " + ", ".join(name for name, one in STAGES.items() if one.moves))
    return found


def _later(stage: str, percent: int) -> str:
    kind = stage.partition(".")[0] + "."
    there = [name for name, one in STAGES.items() if name.startswith(kind) and one.percent and one.percent[0] <= percent <= one.percent[1]]
    return f"; it is there in {', '.join(there)}" if there else ""


def known(stage: str) -> str:
    """`stage`, when it is one. Raises `UserError` that names the nearest."""
    if stage not in STAGES:
        raise UserError(f"there is no stage '{stage}'", hint=nearest(stage, tuple(STAGES)) + "; forgelet fault points lists them all")
    return stage


def nearest(word: str, names: Sequence[str]) -> str:
    """`perhaps A, B`: the names that look most like `word`."""
    from difflib import get_close_matches

    bare = {name.rpartition(".")[2]: name for name in names}
    found = get_close_matches(word, names, 3, 0.4) or [bare[one] for one in get_close_matches(word.rpartition(".")[2], bare, 3, 0.4)]
    return "perhaps " + ", ".join(found or names[:3])
