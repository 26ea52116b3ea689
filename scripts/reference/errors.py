"""Every error, as the wire and the command line tell it."""

from __future__ import annotations

from collections.abc import Iterator

import builders.errors
import emulator.errors
import scanner.errors
from reference.text import code, first, heading, table
from scanner.errors import ForgeletError

EXITS = (
    ("0", "done"),
    ("1", "a mistake in the request, or a build that a rehearsal blocks; every reason is named"),
    ("2", "done, but something could not be read"),
    ("3", "the service or an engine does not answer: `forgelet doctor` says why"),
    ("4", "differences found"),
    ("5", "the job failed: `forgelet job log ID`"),
    ("130", "interrupted (Ctrl-C); a job that was followed goes on"),
)


def kinds() -> list[type[ForgeletError]]:
    """Every error of the three rooms, in the order of the tree."""
    assert builders.errors and emulator.errors and scanner.errors
    found: list[type[ForgeletError]] = []

    def walk(kind: type[ForgeletError]) -> None:
        if kind not in found:
            found.append(kind)
            for under in sorted(kind.__subclasses__(), key=lambda one: (one.__module__ != kind.__module__, one.__name__)):
                walk(under)

    walk(ForgeletError)
    return [kind for kind in found if kind.__module__ in ("scanner.errors", "builders.errors", "emulator.errors")]


def page() -> str:
    rows = [(code(one.code), str(one.http_status), str(one.exit_code), first(one.__doc__), code(one.__name__)) for one in kinds()]
    head = heading("Errors and exit codes", "Every error says what happened and what to do next. Over HTTP it is a `uforgeError`; on the command line it is the exit code.")
    exits = table(("exit code", "what it says"), EXITS)
    return "\n".join([*head, "## Exit codes", "", *exits, "## Errors", "", *table(("code", "HTTP", "exit", "when", "in the code"), rows)])


def undocumented() -> Iterator[str]:
    yield from (f"{one.__name__} has no docstring" for one in kinds() if not one.__dict__.get("__doc__"))
    yield from (f"{one.__name__} ends with {one.exit_code}, which has no meaning" for one in kinds() if str(one.exit_code) not in dict(EXITS))
