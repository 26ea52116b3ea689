"""The named points of every job: where progress is told, cancels are seen and faults can be set.

The rooms say bare names (`inventory`); with the kind of the job before it (`scan.inventory`) a name is known to users.
"""

from __future__ import annotations

from collections.abc import Sequence

from scanner.errors import UserError

STAGES = (
    "scan.inventory",
    "scan.capture",
    "build.plan",
    "build.base",
    "build.last-pass",
    "build.convert",
    "build.check",
    "export.pack",
    "import.read",
    "scan-import.copy",
    "bundle-export.pack",
    "bundle-import.read",
    "publish.check",
    "publish.upload",
    "provision.place",
    "provision.disk",
    "provision.start",
    "verify.boot",
    "verify.ask",
    "verify.read",
    "verify.compare",
)


def known(stage: str) -> str:
    """`stage`, when it is one. Raises `UserError` that names the nearest."""
    if stage not in STAGES:
        raise UserError(f"there is no stage '{stage}'", hint=nearest(stage, STAGES) + "; forgelet fault points lists them all")
    return stage


def nearest(word: str, names: Sequence[str]) -> str:
    """`perhaps A, B`: the names that look most like `word`."""
    from difflib import get_close_matches

    bare = {name.rpartition(".")[2]: name for name in names}
    found = get_close_matches(word, names, 3, 0.4) or [bare[one] for one in get_close_matches(word.rpartition(".")[2], bare, 3, 0.4)]
    return "perhaps " + ", ".join(found or names[:3])
