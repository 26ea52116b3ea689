"""Archives of templates and bundles on their way in and out: both go the same way, by other paths."""

from __future__ import annotations

from pathlib import Path

import typer

from cli import render
from cli.client import Client
from cli.context import follow
from cli.errors import CommandError
from cli.render import Format
from cli.scans import below


def send(service: Client, archive: Path, what: str, imports: str, query: str, output: Format) -> None:
    """Upload an archive and wait until it has become a `template` or `bundle`. Raises `CommandError`."""
    if not archive.is_file():
        raise CommandError(f"there is no archive {archive}", hint="give --file a .tar.gz")
    place = f"{imports}/{service.post(f'{imports}?{query}', None)['dbId']}"
    service.upload(f"{place}/uploads", archive)
    quiet = output is Format.JSON
    if not quiet:
        render.say(f"Importing {what} ...")
    follow(service, service.get(place)["jobId"], quiet=quiet)
    uri = service.get(place)["referenceUri"]
    render.told(output, service.get(below(uri)) if quiet else None, f"OK: {what} {uri.rpartition('/')[2]} ({uri})")


def fetch(service: Client, exports: str, output_format: str, into: Path, output: Format) -> None:
    """Have an archive made, write it into a file, and take it away there."""
    made = service.post(f"{exports}?outputFormat={output_format}", None)
    follow(service, made["jobId"], quiet=output is Format.JSON)
    for _ in service.download(f"{exports}/{made['dbId']}/downloads", into):
        pass
    service.delete(f"{exports}/{made['dbId']}")
    render.told(output, {"file": str(into), "size": into.stat().st_size}, f"OK: {into}")


def remove(service: Client, what: str, place: str, output: Format, *, ask: bool) -> None:
    """Delete it, when the person says so. Raises `typer.Abort`."""
    found = service.get(place)
    if ask and not typer.confirm(f"Delete {what} {found['dbId']} ({found['name']} {found['version']})?", default=True, err=output is Format.JSON):
        raise typer.Abort
    service.delete(place)
    render.told(output, {"dbId": int(place.rpartition("/")[2]), "deleted": True}, "OK: deleted")
