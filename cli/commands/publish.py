"""`forgelet image publish`, and what is done with an image in a cloud."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cli import render
from cli.client import Client
from cli.commands.account import accounts_of, request_of
from cli.commands.build import read_file
from cli.context import client, follow
from cli.errors import CommandError
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
    named = account or _account_file(service, text, file)
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


def _account_file(service: Client, text: str, file: Path) -> str | None:
    """The name of the account when the builder names a file of it (`account: {file: F}`): kept when it is not known yet. None otherwise."""
    import yaml

    try:
        builders = (yaml.safe_load(text) or {}).get("builders") or []
    except (yaml.YAMLError, AttributeError):
        return None  # The service names what is wrong with the file.
    given: dict[str, Any] = next((one["account"] for one in builders if isinstance(one, dict) and isinstance(one.get("account"), dict)), {})
    if not given.get("file"):
        return None
    found = accounts_of(file.parent / str(given["file"]))
    chosen = [one for one in found if given.get("name") in (None, one["name"])]
    if len(chosen) != 1:
        raise CommandError(f"{given['file']} has {len(found)} accounts: which one?", hint="account: {file: FILE, name: NAME}")
    known = {one["name"] for one in service.get("accounts")["credAccounts"]["credAccount"]}
    if chosen[0]["name"] not in known:
        service.post("accounts", request_of(chosen[0], (file.parent / str(given["file"])).parent))
    return str(chosen[0]["name"])


def table(found: list[dict[str, Any]]) -> str:
    """Publications, as `image list` shows them below the images."""
    rows = [
        (one["dbId"], one["imageUri"].rpartition("/")[2], one["name"], one["credAccount"]["name"], one.get("tenantName") or "", render.state(one["status"]), one.get("cloudId") or "")
        for one in found
    ]
    return render.table(("Publish Id", "Image", "Name", "Account", "Project", "Status", "Cloud Id"), rows)
