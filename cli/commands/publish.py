"""`forgelet image publish`, and what is done with an image in a cloud."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cli import render
from cli.client import Client
from cli.commands.account import kept
from cli.commands.build import named_template, read_file
from cli.context import client, follow
from cli.errors import CommandError
from cli.render import Format, Output
from cli.sendable import sendable


def publish(
    context: typer.Context,
    file: Annotated[Path, typer.Option(help="The builder file; the builder of the image's type says account, name and project.")],
    id: Annotated[int | None, typer.Option("--id", help="Number of the image; without it one image for each builder, of the template that the file's stack names.")] = None,
    account: Annotated[str | None, typer.Option(help="An account by name, instead of the builder's; `local` is this machine's own cloud.")] = None,
    output: Output = Format.TABLE,
) -> None:
    """Send an image to a cloud."""
    service, quiet = client(context), output == Format.JSON
    text = read_file(file)
    named = account or _account(service, text, file)
    results = [_publish(service, one, file.name, text, named, quiet) for one in ([id] if id is not None else _images(service, file, text))]
    if quiet:
        render.as_json(results[0][0] if id is not None else {"publishImages": {"publishImage": [sent for sent, _ in results]}})
    raise typer.Exit(next((code for _, code in results if code), 0))


def _images(service: Client, file: Path, text: str) -> list[int]:
    """For each builder of the file the newest finished image of its type, of the template that the stack names. Raises `CommandError`."""
    from emulator import local

    template = named_template(service, file, text)
    made = service.get(f"appliances/{template}/images")["images"]["image"]
    chosen, problems = [], []
    for kind in local.builders_of(text, file.name):
        found = [one["dbId"] for one in made if one["targetFormat"]["name"].lower() == kind.lower() and one["status"]["complete"] and not one["simulated"]]
        chosen += found[-1:]
        problems += [] if found else [f"template {template} has no finished image of the type '{kind}'"]
    if problems:
        raise CommandError("not every builder has an image; nothing was sent", hint=f"forgelet template build --file {file}", problems=problems)
    return chosen


def _publish(service: Client, id: int, name: str, text: str, account: str | None, quiet: bool) -> tuple[dict[str, Any], int]:
    sent = service.post(f"images/{id}/publications", {"fileName": name, "text": sendable(text), "account": account})
    if not quiet:
        render.say(f"Publishing '{sent['name']}' to '{sent['credAccount']['name']}'")
    job = follow(service, sent["jobId"], quiet=quiet)
    done = service.get(f"pimages/{sent['dbId']}")
    if not quiet:
        render.say(f"OK: {job['message']}")
        render.say(f"Publish ID: {done['dbId']}")
        render.say(f"Cloud ID: {done['cloudId']}")
    return done, job["exitCode"]


def _account(service: Client, text: str, file: Path) -> str | None:
    """The account that a builder of the file keeps elsewhere, by its name; None when it is named, or there is none."""
    import yaml

    try:
        builders = (yaml.safe_load(text) or {}).get("builders") or []
    except (yaml.YAMLError, AttributeError):
        return None  # The service names what is wrong with the file.
    given = next((one["account"] for one in builders if isinstance(one, dict) and isinstance(one.get("account"), dict)), None)
    return kept(service, given, file.parent)


def table(found: list[dict[str, Any]]) -> str:
    """Publications, as `image list` shows them below the images."""
    rows = [
        (one["dbId"], one["imageUri"].rpartition("/")[2], one["name"], one["credAccount"]["name"], one.get("tenantName") or "", render.state(one["status"]), one.get("cloudId") or "")
        for one in found
    ]
    return render.table(("Publish Id", "Image", "Name", "Account", "Project", "Status", "Cloud Id"), rows)
