"""`forgelet cache`: base disks and packages that builds keep for one another."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from cli import render
from cli.context import client
from cli.render import Format, Output

app = typer.Typer(help="The build cache: base disks and packages.", no_args_is_help=True)
MANY = {"package": "packages", "resolution": "what plans resolved to"}
"""Kinds of which the table tells the sum alone."""


@app.command("list")
def list_cache(context: typer.Context, output: Output = Format.TABLE) -> None:
    """List what is in the cache, what was used last first."""
    told = client(context).control("GET", "cache")
    if output == Format.JSON:
        render.as_json(told)
        return
    found = told["entries"]["entry"]
    rows = [(one["kind"], one["name"], one["what"], render.size(one["size"]), _day(one["used"])) for one in found if one["kind"] not in MANY]
    for kind, what in MANY.items():
        if of := [one for one in found if one["kind"] == kind]:
            rows.append((kind, f"{len(of)}", what, render.size(sum(one["size"] for one in of)), _day(max(one["used"] for one in of))))
    render.say(render.table(("Kind", "Name", "What", "Size", "Last used"), rows))
    render.say(f"{render.size(told['size'])} in all; base disks and packages may take {render.size(told['limit'])} (FORGELET_CACHE_SIZE)")


@app.command()
def prune(
    context: typer.Context,
    size: Annotated[int | None, typer.Option(help="MiB that may be left; FORGELET_CACHE_SIZE unless given.", min=0)] = None,
    output: Output = Format.TABLE,
) -> None:
    """Remove what was used longest ago, and what builds that were killed left. What is in use stays."""
    query: dict[str, Any] = {} if size is None else {"size": size}
    told = client(context).control("POST", "cache/prune", **query)
    if output == Format.JSON:
        render.as_json(told)
        return
    gone = told["removed"]["entry"]
    for one in gone:
        render.say(f"... removed {one['kind']} {one['name']} ({render.size(one['size'])})")
    render.say(f"OK: {len(gone)} removed, {render.size(sum(one['size'] for one in gone))}")


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")
