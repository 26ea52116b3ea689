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
    seed: Annotated[str, typer.Option(help="Then make what this seed asks for: forgelet seed list.")] = "",
    output: Output = Format.TABLE,
) -> None:
    """End every job and delete every scan, image, template and account; users stay."""
    whose = {"user": of} if of is not None else {}
    done = client(context).patiently("POST", "reset", cache=cache, **whose, **({"seed": seed} if seed else {}))
    if output is Format.JSON:
        as_json(done)
        return
    for what, count in done["removed"].items():
        say(f"{count:>6} {what.replace('_', ' ')}")
    for what, count in done.get("givenBack", {}).items():
        if count:
            say(f"{count:>6} {what} given back")
    if seed:
        say(f"OK: what the seed '{seed}' asks for is there: {', '.join(done['seed']['made']) or 'nothing'}")
        return
    say(f"OK: {'the service is empty' if of is None else f'{of} has nothing left'}")
