"""`forgelet snapshot`: the whole lab as it was."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from cli import render
from cli.commands.catalogue import show as show_list
from cli.context import client
from cli.errors import CommandError
from cli.progress import Bar
from cli.render import Format, Output

app = typer.Typer(help="Snapshots of the whole lab: users, scans, templates, images, jobs, instances.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="Name of the snapshot.")]
Replace = Annotated[bool, typer.Option("--replace", help="Take the place of one of the same name.")]


@app.command("list")
def list_snapshots(context: typer.Context, output: Output = Format.TABLE) -> None:
    """List the snapshots, oldest first."""
    answer = client(context).control("GET", "snapshots")
    rows = [(one["name"], one["created"], one["forgelet"], sum(one["rows"].values()), len(one["instances"])) for one in answer["snapshots"]["snapshot"]]
    show_list(answer, output, ("Name", "Created", "Forgelet", "Rows", "Instances"), rows, "snapshots")


@app.command()
def show(context: typer.Context, name: Name, output: Output = Format.TABLE) -> None:
    """Show what is in a snapshot."""
    told = client(context).control("GET", f"snapshots/{name}")
    if output is Format.JSON:
        render.as_json(told)
        return
    render.say(f"{told['name']}: saved {told['created']} by Forgelet {told['forgelet']}")
    for table, count in told["rows"].items():
        if count:
            render.say(f"{count:>6} {table.replace('_', ' ')}")
    for number, state in told["instances"].items():
        render.say(f"instance {number}: {state}")
    for note in told["notes"]:
        render.say(f"not in it: {note}")


@app.command()
def save(context: typer.Context, name: Name, replace: Replace = False, output: Output = Format.TABLE) -> None:
    """Save everything. Refused, with the reason, while jobs run, and for instances whose disk is not on this machine."""
    told = client(context).patiently("POST", f"snapshots/{name}", replace=replace)
    if output is Format.JSON:
        render.as_json(told)
        return
    render.say(f"OK: {sum(told['rows'].values())} rows and {len(told['instances'])} instances are in the snapshot '{name}'")
    for note in told["notes"]:
        render.warn(f"not in it: {note}")


@app.command()
def load(context: typer.Context, name: Name, output: Output = Format.TABLE) -> None:
    """Make everything as it was. What is there now is gone; jobs are ended."""
    told = client(context).patiently("POST", f"snapshots/{name}/load")
    if output is Format.JSON:
        render.as_json(told)
        return
    for number, state in told["instances"].items():
        render.say(f"instance {number}: {state}")
    render.say(f"OK: everything is as in '{name}'")


@app.command()
def delete(context: typer.Context, name: Name, output: Output = Format.TABLE) -> None:
    """Delete a snapshot."""
    client(context).control("DELETE", f"snapshots/{name}")
    render.told(output, {"name": name, "deleted": True}, "OK: deleted")


@app.command()
def export(
    context: typer.Context,
    name: Name,
    file: Annotated[Path | None, typer.Option(help="File to write; NAME.tar.zst unless given.")] = None,
    output: Output = Format.TABLE,
) -> None:
    """Write a snapshot into one file, for another machine. It holds password hashes and stored secrets: keep it so."""
    into, bar = file or Path(f"{name}.tar.zst"), Bar(sys.stderr if output is Format.JSON else None)
    for done, total in client(context).control_download(f"snapshots/{name}/archive", into):
        bar.draw(100 * done // max(total, 1), into.name)
    bar.finish(100, into.name)
    render.told(output, {"name": name, "file": str(into), "size": into.stat().st_size}, f"OK: {into}")


@app.command("import")
def take(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="What `snapshot export` wrote.")],
    name: Annotated[str, typer.Option(help="Another name for it.")] = "",
    replace: Replace = False,
    output: Output = Format.TABLE,
) -> None:
    """Take in a snapshot of another machine; `load` it then."""
    try:
        told = client(context).control_upload("snapshots", file, name=name, replace=replace)
    except OSError as error:
        raise CommandError(f"{file} cannot be read: {error.strerror}") from error
    render.told(output, told, f"OK: snapshot '{told['name']}'")
