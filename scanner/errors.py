"""What can go wrong in the scanner's room, and how each error is told.

    ForgeletError                 anything expected: message, hint, HTTP status, wire code, exit code
    ├── UserError                 the caller's mistake; lists every problem at once     (exit 1, HTTP 400)
    │   └── NotFound              what was named does not exist                         (exit 1, HTTP 404)
    ├── Unreachable               a service or engine does not answer                   (exit 3, HTTP 503)
    │   └── MissingTool           a program that the step needs is not installed
    ├── StepFailed                a step on a real engine failed                        (exit 5, HTTP 500)
    │   └── CommandFailed         a subprocess ended with a status that was not asked for
    ├── HostileInput              a target or archive sent what must not be trusted     (exit 5, HTTP 422)
    └── Cancelled                 the job was asked to stop                             (exit 5, HTTP 409)

The other rooms hang their own errors on this tree (`builders/errors.py`, `emulator/errors.py`).
"""

from __future__ import annotations

from collections.abc import Sequence


class ForgeletError(Exception):
    """An expected failure, told to a person: what happened, and what to do next."""

    http_status = 500
    code = "internal"
    exit_code = 5

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  next: {self.hint}" if self.hint else self.message


class UserError(ForgeletError, ValueError):
    """The request is wrong; `problems` names every mistake with its place, not only the first."""

    http_status = 400
    code = "invalid"
    exit_code = 1

    def __init__(self, message: str, *, hint: str = "", problems: Sequence[str] = ()) -> None:
        super().__init__(message, hint=hint)
        self.problems = tuple(problems)

    def __str__(self) -> str:
        lines = [self.message, *(f"  - {problem}" for problem in self.problems)]
        return "\n".join([*lines, f"  next: {self.hint}"] if self.hint else lines)


class NotFound(UserError, LookupError):
    """What was named does not exist."""

    http_status = 404
    code = "not-found"


class Unreachable(ForgeletError, ConnectionError):
    """A service or engine that the step needs does not answer."""

    http_status = 503
    code = "unreachable"
    exit_code = 3


class MissingTool(Unreachable):
    """A program that the step needs is not installed on this machine."""

    code = "missing-tool"


class StepFailed(ForgeletError, RuntimeError):
    """A step on a real engine failed; the job's log has the whole story."""

    code = "step-failed"


class CommandFailed(StepFailed):
    """A subprocess ended with a status that was not asked for. `stderr` is its last output."""

    code = "command-failed"

    def __init__(self, argv: Sequence[str], status: int, stderr: str, *, hint: str = "") -> None:
        tail = stderr.strip().splitlines()[-1:] or ["no output"]
        super().__init__(f"'{argv[0]}' ended with status {status}: {tail[0]}", hint=hint)
        self.argv = tuple(argv)
        self.status = status
        self.stderr = stderr


class HostileInput(ForgeletError, ValueError):
    """A target or an archive sent something that must not be trusted; nothing of it was used."""

    http_status = 422
    code = "hostile-input"


class Cancelled(ForgeletError):
    """The job was asked to stop."""

    http_status = 409
    code = "cancelled"
