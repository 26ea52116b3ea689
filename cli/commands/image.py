"""`forgelet image`: list, show, verify, evidence, publish, download, delete, cancel."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from cli import render
from cli.commands.deploy import deploy
from cli.commands.evidence import evidence
from cli.commands.explain import explain_image
from cli.commands.publish import publish
from cli.commands.publish import table as publications
from cli.commands.verify import verify
from cli.context import client
from cli.errors import CommandError
from cli.progress import Bar
from cli.render import Format, Output

app = typer.Typer(help="Machine images.", no_args_is_help=True)
app.command()(verify)
app.command("explain")(explain_image)
app.command()(evidence)
app.command()(publish)
app.command()(deploy)
Id = Annotated[int, typer.Option("--id", help="Number of the image.")]
EitherId = Annotated[int | None, typer.Option("--id", help="Number of the image.")]
PublishId = Annotated[int | None, typer.Option("--publish-id", help="Number of a publication, instead: what is in the cloud.")]


@app.command("list")
def list_images(context: typer.Context, output: Output = Format.TABLE) -> None:
    """List the images."""
    service = client(context)
    answer, sent = service.get("images"), service.get("pimages")
    if output == Format.JSON:
        render.as_json({**answer, **sent})
        return
    render.say(f"Getting images for [{service.user}] ...")
    images = answer["images"]["image"]
    if images:
        rows = [(i["dbId"], i["name"], i["targetFormat"]["name"], _format(i), render.state(i["status"]), _size(i), i["created"]) for i in images]
        render.say(render.table(("Id", "Name", "Target", "Format", "Status", "Size", "Created"), rows))
    render.say(f"Found {len(images)} images")
    published = sent["publishImages"]["publishImage"]
    if published:
        render.say(publications(published))
        render.say(f"Found {len(published)} publications")


def _format(image: dict[str, Any]) -> str:
    return ", ".join(one["format"] for one in image.get("files", []))


def _size(image: dict[str, Any]) -> str:
    return render.size(image["size"]) if "size" in image else ""


@app.command()
def show(context: typer.Context, id: Id, output: Output = Format.TABLE) -> None:
    """Show an image: what it is, what was added, how to boot it."""
    image = client(context).get(f"images/{id}")
    if output == Format.JSON:
        render.as_json(image)
        return
    profile = image["installProfile"]
    render.say(f"image {image['dbId']}: {image['name']} ({image['targetFormat']['name']}): {render.state(image['status'])}")
    render.say(f"  disk {profile['diskSize']} MiB, memory {profile['memorySize']} MiB, job {image['jobId']}")
    if image["status"]["error"]:
        render.say(f"  {image['status']['errorMessage']}")
    for line in _contents(image) if "files" in image else ():
        render.say(line)


app.command("info", help="As `image show`; hammr's word for it.")(show)


def _contents(image: dict[str, Any]) -> list[str]:
    return [
        *(f"  {one['format']}: {image['folder']}/{one['name']}, {render.size(one['size'])}, sha256 {one['sha256']}" for one in image["files"]),
        f"  {image['packages']} packages{', base disk from the cache' if image['baseFromCache'] else ''}",
        *_additions(image["additions"]),
        *(f"  not brought ({reason}): {count} paths" for reason, count in image["notBrought"].items()),
        "  stages: " + ", ".join(f"{name} {seconds:.1f} s" for name, seconds in image["stages"].items()),
        f"  boot it: {image['bootCommand']}",
    ]


def _additions(additions: list[dict[str, str]]) -> list[str]:
    """One line a reason: most of what is added is needed by something else that is."""
    reasons: dict[str, list[str]] = {}
    for one in additions:
        reasons.setdefault(one["reason"], []).append(one["item"])
    return [f"  added: {', '.join(items)} ({reason})" for reason, items in reasons.items()]


@app.command()
def download(
    context: typer.Context,
    id: EitherId = None,
    publish_id: PublishId = None,
    file: Annotated[Path | None, typer.Option(help="Where to write the disk; with --id: here, under its own name, unless given.")] = None,
    format: Annotated[str | None, typer.Option(help="`qcow2` or `raw`, as it was built.")] = None,
    output: Output = Format.TABLE,
) -> None:
    """Download the disk of an image, as it was built or as a cloud has it."""
    place, shown, done = _place(id, publish_id), Bar(sys.stderr if output is Format.JSON else None), 0
    query, service = {"format": format} if format else {}, client(context)
    file = file or Path(_own_name(service.get(place), format))
    for done, total in service.download(f"{place}/download", file, **query):
        shown.draw(100 * done // total if total else 0, f"{render.size(done)} of {render.size(total)}")
    shown.finish(100, render.size(done))
    render.told(output, {"file": str(file), "size": done}, f"OK: {file}")


def _own_name(image: dict[str, Any], format: str | None) -> str:
    """The name of the disk that is downloaded. Raises `CommandError` for one that is only in a cloud, or not there."""
    names = [str(one["name"]) for one in image.get("files", []) if format in (None, one["format"])]
    if not names:
        raise CommandError("where to?", hint="--file FILE")
    # The service's word for it is no path of this machine.
    return Path(names[0]).name


@app.command()
def delete(context: typer.Context, id: EitherId = None, publish_id: PublishId = None, output: Output = Format.TABLE) -> None:
    """Delete an image, here or in its cloud; what is being done for it is stopped first."""
    client(context).delete(_place(id, publish_id))
    render.told(output, {"dbId": id or publish_id, "deleted": True}, "OK: deleted")


@app.command()
def cancel(context: typer.Context, id: EitherId = None, publish_id: PublishId = None, output: Output = Format.TABLE) -> None:
    """Stop the build or the proof of an image, or the sending of it."""
    place = _place(id, publish_id)
    client(context).delete(f"{place}/{'status' if publish_id is None else 'cancel'}")
    what = "image" if publish_id is None else "publication"
    render.told(output, {"dbId": id or publish_id, "cancelled": True}, f"OK: what runs for {what} {place.rpartition('/')[2]} is being stopped")


def _place(id: int | None, publish_id: int | None) -> str:
    """Path of the image, or of what was published of it. Raises `CommandError`."""
    if (id is None) == (publish_id is None):
        raise CommandError("which image?", hint="give --id ID, or --publish-id ID for what is in a cloud")
    return f"images/{id}" if id is not None else f"pimages/{publish_id}"
