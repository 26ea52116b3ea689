"""What can end a command early. Exit codes: 0 done, 1 user's mistake, 2 blind spots, 3 unreachable, 4 differences, 5 job failed."""

from __future__ import annotations

from collections.abc import Sequence

DONE, USER, BLIND, UNREACHABLE, DIFFERENT, FAILED = range(6)
INTERRUPTED = 130
"""Ctrl-C, as shells have it."""


class CommandError(Exception):
    """The command ends here: message, every problem, the next step, and the exit code."""

    def __init__(self, message: str, *, hint: str = "", problems: Sequence[str] = (), exit_code: int = USER) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.problems = tuple(problems)
        self.exit_code = exit_code
