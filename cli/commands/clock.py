"""`forgelet clock`: what time it is for the service."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from cli import render
from cli.context import client
from cli.render import Format, Output

app = typer.Typer(help="The service's clock: set, stepped, made faster; and the seed of its numbers.", no_args_is_help=True)


def _tell(told: dict[str, Any], output: Format) -> None:
    if output is Format.JSON:
        render.as_json(told)
    else:
        render.say(f"{told['now']}, {told['rate']:g} times as fast as the machine's ({told['real']})" if told["set"] else f"{told['now']}, the machine's")


@app.command()
def show(context: typer.Context, output: Output = Format.TABLE) -> None:
    """Show the time of the service."""
    _tell(client(context).control("GET", "clock"), output)


@app.command("set")
def set_clock(
    context: typer.Context,
    at: Annotated[str | None, typer.Option(help="The time that it shall be, such as 2030-01-01T00:00:00Z; unless given, as it is.")] = None,
    rate: Annotated[float, typer.Option(help="How fast it passes; 0 stands still, 60 is a minute a second.")] = 1,
    output: Output = Format.TABLE,
) -> None:
    """Set the time of the service; the machine's is not touched."""
    _tell(client(context).control("PUT", "clock", {"rate": rate, **({"at": at} if at else {})}), output)


@app.command()
def step(context: typer.Context, seconds: Annotated[float, typer.Argument(help="How many seconds.")], output: Output = Format.TABLE) -> None:
    """Put the time forward."""
    _tell(client(context).control("POST", "clock/step", {"seconds": seconds}), output)


@app.command()
def real(context: typer.Context, output: Output = Format.TABLE) -> None:
    """The machine's time again."""
    service = client(context)
    service.control("DELETE", "clock")
    render.told(output, service.control("GET", "clock"), "OK: the machine's time")


@app.command()
def ids(
    context: typer.Context,
    seed: Annotated[str | None, typer.Option(help="The same numbers after the same seed.")] = None,
    random: Annotated[bool, typer.Option("--random", help="At random again.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """Seed the numbers that are drawn, or show the seed. Secrets are never seeded."""
    service = client(context)
    if random:
        service.control("DELETE", "ids")
    told = service.control("GET", "ids") if seed is None else service.control("PUT", "ids", {"seed": seed})
    render.told(output, told, "at random" if told["seed"] is None else f"seed {told['seed']}, {told['drawn']} drawn")
