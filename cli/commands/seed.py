"""`forgelet seed`: what shall be there, in one file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cli import render
from cli.commands.catalogue import show as show_list
from cli.context import client
from cli.render import Format, Output

app = typer.Typer(help="Seeds: users, accounts, scans, templates and images that shall be there.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="Name of the seed.")]


@app.command("list")
def list_seeds(context: typer.Context, output: Output = Format.TABLE) -> None:
    """List the seeds that the service knows."""
    answer = client(context).control("GET", "seeds")
    show_list(answer, output, ("Name",), [(one["name"],) for one in answer["seeds"]["seed"]], "seeds")


@app.command()
def show(context: typer.Context, name: Name, output: Output = Format.TABLE) -> None:
    """Show a seed."""
    told = client(context).control("GET", f"seeds/{name}")
    if output is Format.JSON:
        render.as_json(told)
    else:
        render.say(f"# paths begin at {told['base']}\n{told['text'].rstrip()}")


@app.command()
def apply(context: typer.Context, seed: Annotated[str, typer.Argument(help="A YAML file, or the name of a seed that the service knows.")], output: Output = Format.TABLE) -> None:
    """Make what is missing of a seed. What is there already is left alone."""
    service, file = client(context), Path(seed)
    name = seed
    if file.is_file():
        name = file.stem
        service.control("PUT", f"seeds/{name}", {"text": file.read_text(encoding="utf-8"), "base": str(file.parent.absolute())})
    told = service.patiently("POST", f"seeds/{name}/apply")
    if output is Format.JSON:
        render.as_json(told)
    else:
        _tell(told)


def _tell(told: dict[str, Any]) -> None:
    for one in told["made"]:
        render.say(f"made          {one}")
    for one in told["there"]:
        render.say(f"there already {one}")
    render.say(f"OK: everything that '{told['name']}' asks for is there")


@app.command()
def delete(context: typer.Context, name: Name, output: Output = Format.TABLE) -> None:
    """Forget a seed; what it made stays."""
    client(context).control("DELETE", f"seeds/{name}")
    render.told(output, {"name": name, "deleted": True}, "OK: forgotten")
