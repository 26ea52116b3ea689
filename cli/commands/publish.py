"""`forgelet image publish`, and what is done with an image in a cloud."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cli import render
from cli.client import Client
from cli.commands.account import kept
from cli.commands.build import read_file
from cli.context import client, follow
from cli.render import Format, Output


def publish(
    context: typer.Context,
    id: Annotated[int, typer.Option("--id", help="Number of the image.")],
    file: Annotated[Path, typer.Option(help="The builder file; the builder of the image's type says account, name and project.")],
    account: Annotated[str | None, typer.Option(help="An account by name, instead of the builder's; `local` is this machine's own cloud.")] = None,
    output: Output = Format.TABLE,
) -> None:
    """Send an image to a cloud."""
    service, quiet = client(context), output == Format.JSON
    text = read_file(file)
    named = account or _account(service, text, file)
    sent = service.post(f"images/{id}/publications", {"fileName": file.name, "text": text, "account": named})
    if not quiet:
        render.say(f"Publishing '{sent['name']}' to '{sent['credAccount']['name']}'")
    job = follow(service, sent["jobId"], quiet=quiet)
    done = service.get(f"pimages/{sent['dbId']}")
    if quiet:
        render.as_json(done)
    else:
        render.say(f"OK: {job['message']}")
        render.say(f"Publish ID: {done['dbId']}")
        render.say(f"Cloud ID: {done['cloudId']}")
    raise typer.Exit(job["exitCode"])


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
