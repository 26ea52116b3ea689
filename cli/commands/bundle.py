"""`forgelet bundle`: list, validate, create, import, export, clone, delete, categories."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from cli import render
from cli.archives import fetch, remove, send
from cli.commands.build import read_file
from cli.commands.catalogue import show
from cli.context import client
from cli.packing import pack_bundle
from cli.render import Format, Output

app = typer.Typer(help="Bundles: files, packages and scripts that templates share.", no_args_is_help=True)
Id = Annotated[int, typer.Option("--id", help="Number of the bundle.")]
File = Annotated[Path, typer.Option(help="The bundle file, YAML or JSON.")]


@app.command("list")
def list_bundles(context: typer.Context, output: Output = Format.TABLE) -> None:
    """List the bundles of your library."""
    answer = client(context).get("mysoftware")
    rows = [
        (b["dbId"], b["name"], b["version"], b["description"], (b["category"] or {}).get("name", ""), render.size(b["size"]), "X" if b["imported"] else "")
        for b in answer["mySoftwareList"]["mySoftware"]
    ]
    show(answer, output, ("Id", "Name", "Version", "Description", "Category", "Size", "Imported"), rows, "bundles")


@app.command()
def validate(file: File, output: Output = Format.TABLE) -> None:
    """Check a bundle file; no service is needed."""
    from emulator import local

    found = local.validate_bundle(read_file(file), file.name)
    told = {"file": file.name, "valid": True, "found": found}
    render.told(output, told, *(f"  {line}" for line in found), f"OK: Syntax of bundle file [{file.name}] is ok")


@app.command()
def create(
    context: typer.Context,
    file: File,
    archive_path: Annotated[Path | None, typer.Option(help="Keep the archive that is sent, here.")] = None,
    output: Output = Format.TABLE,
) -> None:
    """Create a bundle from a bundle file and the files that it names; of an archive it is the same as import."""
    if file.name.endswith((".tar.gz", ".tgz")):
        send(client(context), file, "bundle", "bundleimports", "imported=False", output)
        return
    from emulator import local

    text = read_file(file)
    local.validate_bundle(text, file.name)
    if output is not Format.JSON:
        render.say(f"OK: Syntax of bundle file [{file.name}] is ok")
    with tempfile.TemporaryDirectory(prefix="forgelet-") as folder:
        archive = archive_path or Path(folder) / "archive.tar.gz"
        pack_bundle(file, text, archive)
        send(client(context), archive, "bundle", "bundleimports", "imported=False", output)


@app.command("import")
def import_archive(context: typer.Context, file: Annotated[Path, typer.Option(help="The archive (.tar.gz).")], output: Output = Format.TABLE) -> None:
    """Create a bundle from an archive."""
    send(client(context), file, "bundle", "bundleimports", "imported=True", output)


@app.command()
def export(
    context: typer.Context,
    id: Id,
    file: Annotated[Path | None, typer.Option(help="Where to write the archive; NAME.tar.gz.")] = None,
    output_format: Annotated[str, typer.Option("--outputFormat", help="`yaml` or `json`.")] = "yaml",
    output: Output = Format.TABLE,
) -> None:
    """Write a bundle as an archive that can be edited, imported again, and kept."""
    service = client(context)
    into = file or Path(f"{service.get(f'mysoftware/{id}')['name']}.tar.gz")
    fetch(service, f"mysoftware/{id}/exports", output_format, into, output)


@app.command()
def clone(
    context: typer.Context,
    id: Id,
    name: Annotated[str, typer.Option(help="Name of the clone.")],
    version: Annotated[str, typer.Option(help="Version of the clone.")],
    output: Output = Format.TABLE,
) -> None:
    """The same bundle under another name or version."""
    made = client(context).post(f"mysoftware/{id}/clone", {"name": name, "version": version})
    render.told(output, made, f"OK: bundle {made['dbId']}: {made['name']} {made['version']}")


@app.command()
def delete(context: typer.Context, id: Id, no_confirm: Annotated[bool, typer.Option("--no-confirm", help="Do not ask.")] = False, output: Output = Format.TABLE) -> None:
    """Delete a bundle; templates keep what they took of it."""
    remove(client(context), "bundle", f"mysoftware/{id}", output, ask=not no_confirm)


@app.command()
def categories(context: typer.Context, output: Output = Format.TABLE) -> None:
    """List the categories that a bundle can have."""
    service = client(context)
    org = service.get("orgs")["orgs"]["org"][0]["dbId"]
    answer = service.shared(f"orgs/{org}/categories", query="type=='PROJECT'")
    show(answer, output, ("Name",), [(one["name"],) for one in answer["categories"]["category"]], "categories")
