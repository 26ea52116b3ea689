"""The named points of every job: where progress is told, cancels are seen and faults can be set.

The rooms say bare names (`inventory`); with the kind of the job before it (`scan.inventory`) a name is known to users.
"""

from __future__ import annotations

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
    """`stage`, when it is one. Raises `UserError` that names them all."""
    if stage not in STAGES:
        raise UserError(f"there is no stage '{stage}'", hint="one of " + ", ".join(STAGES))
    return stage
