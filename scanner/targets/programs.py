"""Programs on a live system that this machine starts there: to their end, or to the end of patience."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from scanner.errors import StepFailed
from scanner.host.run import run


def run_within(argv: Sequence[str], timeout: float, where: str, *, root: bool = False) -> tuple[int, bytes]:
    """Exit status, and both outputs. Raises `StepFailed` when it does not end within `timeout` seconds."""
    try:
        done = run(argv, root=root, check=False, timeout=timeout)
    except subprocess.TimeoutExpired as error:
        raise late(where, timeout) from error
    return done.returncode, done.stdout + done.stderr


def late(where: str, timeout: float) -> StepFailed:
    """What to say of a program that did not end."""
    return StepFailed(f"the command did not end on {where} within {timeout:.0f} s", hint="ask something that is answered sooner")
