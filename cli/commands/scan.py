"""`forgelet scan`: run, list, show, delete scans, and look into their reports."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from cli import render
from cli.commands import report
from cli.commands.build import build
from cli.commands.compare import compare
from cli.commands.explain import explain
from cli.commands.rehearse import rehearse
from cli.commands.run import run
from cli.commands.targets import targets
from cli.context import client, follow
from cli.errors import CommandError
from cli.render import Format, Output
from cli.scans import below, find

app = typer.Typer(help="Scan live systems.", no_args_is_help=True)
app.command()(run)
app.command()(targets)
app.command()(rehearse)
app.command()(build)
app.command()(compare)
app.command()(explain)
report.mount(app)
Id = Annotated[int, typer.Option("--id", help="Number of the scan.")]


@app.command("list")
def list_scans(context: typer.Context, output: Output = Format.TABLE) -> None:
    """List the scans by their groups."""
    service = client(context)
    answer = service.get("scannedinstances", includeScans=True)
    if output == Format.JSON:
        render.as_json(answer)
        return
    render.say(f"Getting scans for [{service.user}] ...")
    instances = answer["scannedInstances"]["scannedInstance"]
    rows = [row for instance in instances for row in _rows(instance)]
    if rows:
        render.say(render.table(("Id", "Name", "Status", "Distribution", "With overlay"), rows, centred=[4]))
    render.say(f"Found {sum(len(instance['scans']['scan']) for instance in instances)} scans")


def _rows(instance: dict[str, Any]) -> list[tuple[Any, ...]]:
    distribution = " ".join(part for part in (instance["distribution"][key] for key in ("name", "version", "arch")) if part)
    head = (instance["dbId"], instance["name"], "", distribution, "X" if instance["overlayIncluded"] else "")
    return [head, *((scan["dbId"], " " * 8 + scan["name"], render.state(scan["status"]), "", "") for scan in instance["scans"]["scan"])]


@app.command()
def delete(
    context: typer.Context,
    id: Id,
    scantype: Annotated[str, typer.Option(help="`scan`, `instance` (a whole group) or `all`.")] = "scan",
    scansonly: Annotated[bool, typer.Option("--scansonly", help="With --scantype instance: the scans of the group, which stays.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """Delete a scan, a group of scans, or all of them."""
    if scansonly and scantype != "instance":
        raise CommandError("--scansonly is for groups", hint="--scantype instance")
    service = client(context)
    if scantype == "scan":
        service.delete(below(find(service, id)["uri"]))
    elif scantype == "instance":
        service.delete(f"scannedinstances/{id}{'/scans' if scansonly else ''}")
    elif scantype == "all":
        service.delete("scannedinstances")
    else:
        raise CommandError(f"there is no scan type '{scantype}'", hint="--scantype scan, instance or all")
    render.told(output, {"dbId": id, "scantype": scantype, "deleted": True}, "OK: deleted")


@app.command("import")
def import_scan(
    context: typer.Context,
    id: Id,
    name: Annotated[str, typer.Option(help="Name of the template to be made.")],
    version: Annotated[str, typer.Option(help="Its version.")],
    output: Output = Format.TABLE,
) -> None:
    """Make a template from a scan."""
    service = client(context)
    asked = {"importedObjectName": name, "importedObjectVersion": version}
    made = service.post(f"{below(find(service, id)['uri'])}/imports", asked)
    quiet = output is Format.JSON
    if not quiet:
        render.say("Importing scan ...")
    follow(service, made["jobId"], quiet=quiet)
    templates = service.get("appliances", query=f"name=='{name}';version=='{version}'")["appliances"]["appliance"]
    render.told(output, templates[0], f"OK: template {templates[0]['dbId']}: {name} {version}")
