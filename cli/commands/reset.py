"""`forgelet reset`: an empty service."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.context import client
from cli.render import Format, Output, as_json, say


def reset(
    context: typer.Context,
    cache: Annotated[bool, typer.Option("--cache", help="Empty the build cache too.")] = False,
    of: Annotated[str | None, typer.Option(metavar="LOGIN", help="Only what belongs to this user.")] = None,
    output: Output = Format.TABLE,
) -> None:
    """End every job and delete every scan, image, template and account; users stay."""
    whose = {"user": of} if of is not None else {}
    done = client(context).control("POST", "reset", cache=cache, **whose)
    if output is Format.JSON:
        as_json(done)
        return
    for what, count in done["removed"].items():
        say(f"{count:>6} {what.replace('_', ' ')}")
    say(f"OK: {'the service is empty' if of is None else f'{of} has nothing left'}")
