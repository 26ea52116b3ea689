"""`forgelet reset`: an empty service."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.context import client
from cli.render import say


def reset(
    context: typer.Context,
    cache: Annotated[bool, typer.Option("--cache", help="Empty the build cache too.")] = False,
) -> None:
    """Cancel every job and delete every scan and image; users stay."""
    client(context).control("POST", "reset", cache=cache)
    say("OK: the service is empty")
