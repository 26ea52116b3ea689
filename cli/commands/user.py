"""`forgelet user`: who am I."""

from __future__ import annotations

import typer

from cli import render
from cli.context import client
from cli.render import Format, Output

app = typer.Typer(help="The user.", no_args_is_help=True)


@app.command()
def show(context: typer.Context, output: Output = Format.TABLE) -> None:
    """Show the user that the service knows you as."""
    service = client(context)
    user = service.get("")
    if output == Format.JSON:
        render.as_json(user)
        return
    render.say(f"Getting user [{service.user}] ...")
    render.say(render.table(("Login", "Active", "Admin", "Created"), [(user["loginName"], _mark(user["active"]), _mark(user["admin"]), user["created"])]))


def _mark(value: bool) -> str:
    return "X" if value else ""
