"""Archives of templates and bundles on their way in and out: both go the same way, by other paths."""

from __future__ import annotations

from pathlib import Path

import typer

from cli import render
from cli.client import Client
from cli.context import follow
from cli.errors import CommandError


def send(service: Client, archive: Path, what: str, imports: str, query: str) -> None:
    """Upload an archive and wait until it has become a `template` or `bundle`. Raises `CommandError`."""
    if not archive.is_file():
        raise CommandError(f"there is no archive {archive}", hint="give --file a .tar.gz")
    place = f"{imports}/{service.post(f'{imports}?{query}', None)['dbId']}"
    service.upload(f"{place}/uploads", archive)
    render.say(f"Importing {what} ...")
    follow(service, service.get(place)["jobId"])
    uri = service.get(place)["referenceUri"]
    render.say(f"OK: {what} {uri.rpartition('/')[2]} ({uri})")


def fetch(service: Client, exports: str, output_format: str, into: Path) -> None:
    """Have an archive made, write it into a file, and take it away there."""
    made = service.post(f"{exports}?outputFormat={output_format}", None)
    follow(service, made["jobId"])
    for _ in service.download(f"{exports}/{made['dbId']}/downloads", into):
        pass
    service.delete(f"{exports}/{made['dbId']}")
    render.say(f"OK: {into}")


def remove(service: Client, what: str, place: str, *, ask: bool) -> None:
    """Delete it, when the person says so. Raises `typer.Abort`."""
    found = service.get(place)
    if ask and not typer.confirm(f"Delete {what} {found['dbId']} ({found['name']} {found['version']})?", default=True):
        raise typer.Abort
    service.delete(place)
    render.say("OK: deleted")
