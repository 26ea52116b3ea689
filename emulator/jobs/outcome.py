"""How a job ended, as its process tells the service: `outcome.json` in the job's folder."""

from __future__ import annotations

import errno
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from emulator.jobs.kinds import State
from emulator.storage.stamp import printable
from scanner.errors import Cancelled, ForgeletError

_ROOM = "make room in the data folder: forgelet image delete, forgelet scan delete, or forgelet reset --cache"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of a job. `exit_code` is what the command line ends with."""

    state: str
    exit_code: int = 0
    message: str = ""
    code: str = ""
    hint: str = ""
    problems: list[str] = field(default_factory=list)

    def save(self, path: Path) -> None:
        """Write it in one move."""
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(asdict(self)), encoding="utf-8")
        partial.rename(path)

    @classmethod
    def load(cls, path: Path) -> Outcome | None:
        """None when the job's process never got to say how it ended."""
        try:
            return cls(**json.loads(path.read_bytes()))
        except (FileNotFoundError, ValueError, TypeError):
            return None


def done(message: str, exit_code: int = 0) -> Outcome:
    """The job did what it was asked; an exit code other than 0 says that there is more to say (2: blind spots, 4: differences)."""
    return Outcome(State.DONE, exit_code, printable(message))


def cancelled(message: str = "cancelled") -> Outcome:
    """Somebody asked the job to stop."""
    return Outcome(State.CANCELLED, Cancelled.exit_code, message, Cancelled.code)


def failed(error: BaseException) -> Outcome:
    """The outcome that an exception means. What nobody expected is told without its traceback (that is in the log)."""
    if isinstance(error, Cancelled):
        return cancelled(error.message)
    if isinstance(error, ForgeletError):
        problems = [printable(p) for p in getattr(error, "problems", ())]
        return Outcome(State.FAILED, error.exit_code, printable(error.message), error.code, printable(error.hint), problems)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        where = f": {printable(str(error.filename))}" if error.filename else ""
        return Outcome(State.FAILED, ForgeletError.exit_code, f"there is no space left on the disk{where}", "disk-full", _ROOM)
    said = printable(f"{type(error).__name__}: {error}")
    return Outcome(State.FAILED, ForgeletError.exit_code, f"an internal fault ({said})", ForgeletError.code, "the job's log has the traceback")
