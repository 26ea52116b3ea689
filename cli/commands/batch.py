"""`forgelet batch` and `forgelet shell`: many commands in one process, from a file or as they are typed."""

from __future__ import annotations

import io
import shlex
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated, Any

import typer

from cli import render
from cli.commands.build import read_file
from cli.errors import USER
from cli.render import Format, Output

PROMPT = "forgelet> "
LEAVE = ("quit", "exit")


def batch(
    context: typer.Context,
    file: Annotated[Path, typer.Option(help="A file with a command a line; empty lines and those that begin with # are left out.")],
    output: Output = Format.TABLE,
) -> None:
    """Run the commands of a file, one after the other. One that fails does not stop the others; the first failure's exit code is the batch's."""
    lines = [line for line in read_file(file).splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if output is Format.JSON:
        done = [_heard(line, context.obj) for line in lines]
        render.as_json({"commands": done})
        codes = [one["exitCode"] for one in done]
    else:
        codes = [_one(line, context.obj, shown=True) for line in lines]
    raise typer.Exit(next((code for code in codes if code), 0))


def shell(context: typer.Context) -> None:
    """Type commands, without `forgelet` before them; `help` lists them, `quit` or Ctrl-D ends."""
    for line in _typed():
        words = line.split()
        if words[:1] and words[0] in LEAVE:
            return
        if words:
            _one(" ".join([*words[1:], "--help"]) if words[0] == "help" else line, context.obj, shown=False)


def _heard(line: str, connection: Any) -> dict[str, Any]:
    """One command, with what it printed on standard output."""
    with redirect_stdout(io.StringIO()) as out:
        code = _one(line, connection, shown=False)
    return {"command": line, "exitCode": code, "output": out.getvalue()}


def _one(line: str, connection: Any, *, shown: bool) -> int:
    from cli.main import run  # it loads this module, for these two commands

    if shown:
        render.say(f"{PROMPT}{line}")
    try:
        words = shlex.split(line)
    except ValueError as error:
        render.warn(f"ERROR: '{line}' is no command: {error}")
        return USER
    return run(words, connection)


def _typed() -> Iterator[str]:
    """Lines, edited and remembered when there is a person; Ctrl-C empties the line."""
    if sys.stdin.isatty():
        import readline  # noqa: F401  # input() edits lines and remembers them by it
    while True:
        try:
            yield input(PROMPT if sys.stdin.isatty() else "")
        except KeyboardInterrupt:
            print()
        except EOFError:
            return
