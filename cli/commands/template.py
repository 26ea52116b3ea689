"""`forgelet template`: list, validate, create, import, export, clone, delete, build."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated, Any
from xml.sax.saxutils import quoteattr

import typer

from cli import render
from cli.archives import fetch, remove, send
from cli.commands.build import Offline, conditions, follow_image, named_template, read_file, request
from cli.commands.rehearse import tell
from cli.context import client
from cli.packing import pack
from cli.render import Format, Output

app = typer.Typer(help="Templates.", no_args_is_help=True)
Id = Annotated[int, typer.Option("--id", help="Number of the template.")]
File = Annotated[Path, typer.Option(help="The template file, YAML or JSON.")]
Force = Annotated[bool, typer.Option("--force", "-f", help="Replace a template of the same name and version.")]
Reuse = Annotated[bool, typer.Option("--rbundles", "-r", help="Take bundles of the same name and version that are there already.")]
Major = Annotated[bool, typer.Option("--usemajor", help="Take the major version of the system when the exact one is not known.")]


@app.command("list")
def list_templates(context: typer.Context, output: Output = Format.TABLE) -> None:
    """List the templates."""
    service = client(context)
    answer = service.get("appliances")
    if output == Format.JSON:
        render.as_json(answer)
        return
    render.say(f"Getting templates for [{service.user}] ...")
    found = answer["appliances"]["appliance"]
    rows = [
        (t["dbId"], t["name"], t["version"], f"{t['distributionName']} {t['archName']}", t["created"], len(t["imageUris"]["uri"]), "X" if t["imported"] else "")
        for t in found
    ]
    if rows:
        render.say(render.table(("Id", "Name", "Version", "OS", "Created", "# Images", "Imported"), rows, centred=[6]))
    render.say(f"Found {len(found)} templates")


@app.command()
def validate(file: File, output: Output = Format.TABLE) -> None:
    """Check a template file; no service is needed."""
    from emulator import local

    found = local.validate_template(read_file(file), file.name)
    told = {"file": file.name, "valid": True, "found": found}
    render.told(output, told, *(f"  {line}" for line in found), f"OK: Syntax of template file [{file.name}] is ok")


@app.command()
def create(
    context: typer.Context,
    file: File,
    archive_path: Annotated[Path | None, typer.Option(help="Keep the archive that is sent, here.")] = None,
    force: Force = False,
    rbundles: Reuse = False,
    usemajor: Major = False,
    output: Output = Format.TABLE,
) -> None:
    """Create a template from a template file and the files that it names; of an archive it is the same as import."""
    if file.name.endswith((".tar.gz", ".tgz")):
        send(client(context), file, "template", "imports", f"imported=False&force={force}&reuseBundles={rbundles}&useMajor={usemajor}", output)
        return
    from emulator import local

    text = read_file(file)
    local.validate_template(text, file.name)
    if output is not Format.JSON:
        render.say(f"OK: Syntax of template file [{file.name}] is ok")
    with tempfile.TemporaryDirectory(prefix="forgelet-") as folder:
        archive = archive_path or Path(folder) / "archive.tar.gz"
        pack(file, text, archive)
        send(client(context), archive, "template", "imports", f"imported=False&force={force}&reuseBundles={rbundles}&useMajor={usemajor}", output)


@app.command("import")
def import_archive(
    context: typer.Context,
    file: Annotated[Path, typer.Option(help="The archive (.tar.gz).")],
    force: Force = False,
    rbundles: Reuse = False,
    usemajor: Major = False,
    output: Output = Format.TABLE,
) -> None:
    """Create a template from an archive."""
    send(client(context), file, "template", "imports", f"imported=True&force={force}&reuseBundles={rbundles}&useMajor={usemajor}", output)


@app.command()
def export(
    context: typer.Context,
    id: Id,
    file: Annotated[Path, typer.Option(help="Where to write the archive.")] = Path("archive.tar.gz"),
    output_format: Annotated[str, typer.Option("--outputFormat", help="`yaml` or `json`.")] = "yaml",
    output: Output = Format.TABLE,
) -> None:
    """Write a template as an archive that can be edited, created again, and kept."""
    fetch(client(context), f"appliances/{id}/exports", output_format, file, output)


@app.command()
def clone(
    context: typer.Context,
    id: Id,
    name: Annotated[str, typer.Option(help="Name of the clone.")],
    version: Annotated[str, typer.Option(help="Version of the clone.")],
    output: Output = Format.TABLE,
) -> None:
    """The same template under another name or version."""
    made = client(context).post(f"appliances/{id}/clones", {"name": name, "version": version})
    render.told(output, made, f"OK: template {made['dbId']}: {made['name']} {made['version']}")


@app.command()
def delete(context: typer.Context, id: Id, no_confirm: Annotated[bool, typer.Option("--no-confirm", help="Do not ask.")] = False, output: Output = Format.TABLE) -> None:
    """Delete a template."""
    remove(client(context), "template", f"appliances/{id}", output, ask=not no_confirm)


@app.command()
def build(
    context: typer.Context,
    file: Annotated[Path, typer.Option(help="A file with builders (and, without --id, the stack's name and version).")],
    id: Annotated[int | None, typer.Option("--id", help="Number of the template.")] = None,
    junit: Annotated[Path | None, typer.Option(help="Write the results as JUnit XML.")] = None,
    simulate: Annotated[bool, typer.Option("--simulate", help="Plan only.")] = False,
    force: Annotated[bool, typer.Option("--force", help="hammr's; dependencies are always checked.")] = False,
    offline: Offline = False,
    output: Output = Format.TABLE,
) -> None:
    """Build machine images from a template."""
    service, quiet = client(context), output == Format.JSON
    text = read_file(file)
    number = id if id is not None else named_template(service, file, text)
    asked = {**request(file, text, offline=offline), "simulated": simulate}
    images = service.post(f"appliances/{number}/builds", asked, patient=True)["images"]["image"]
    for line in conditions(images) if not quiet else ():
        render.say(line)
    results = [follow_image(service, image, f"({place}/{len(images)})", quiet) for place, image in enumerate(images, 1)]
    if junit is not None:
        junit.write_text(_junit([image for image, _ in results]), encoding="utf-8")
    if quiet:
        render.as_json({"images": {"image": [image for image, _ in results]}})
    raise typer.Exit(next((code for _, code in results if code), 0))


@app.command()
def rehearse(
    context: typer.Context,
    file: Annotated[Path, typer.Option(help="A file with builders (and, without --id, the stack's name and version).")],
    id: Annotated[int | None, typer.Option("--id", help="Number of the template.")] = None,
    offline: Offline = False,
    output: Output = Format.TABLE,
) -> None:
    """Say what a build of a template would meet. Exit code 1 when it is blocked, 3 when a mirror alone blocks it."""
    service, text = client(context), read_file(file)
    number = id if id is not None else named_template(service, file, text)
    tell(service.post(f"appliances/{number}/rehearsals", request(file, text, offline=offline), patient=True), output)


def _junit(images: list[dict[str, Any]]) -> str:
    failed = [image for image in images if not image["status"]["complete"]]
    cases = []
    for image in images:
        name = quoteattr(f"{image['name']} {image['targetFormat']['name']}")
        wrong = f"<failure message={quoteattr(image['status']['errorMessage'])}/>" if image in failed else ""
        cases.append(f"  <testcase classname={quoteattr('template build')} name={name}>{wrong}</testcase>")
    head = f'<testsuite name="forgelet template build" tests="{len(images)}" failures="{len(failed)}">'
    return "\n".join(['<?xml version="1.0" encoding="UTF-8"?>', head, *cases, "</testsuite>", ""])
