"""`forgelet scan explain` and `image explain`: everything that a scan knows of one path, and what wrote one path into an image."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Annotated, Any
from urllib.parse import quote

import typer

from cli import render
from cli.context import client
from cli.render import Format, Output
from cli.scans import below, find


def explain(
    context: typer.Context,
    id: Annotated[int, typer.Option("--id", help="Number of the scan.")],
    path: Annotated[str, typer.Argument(help="An absolute path of the scanned machine; any bytes.")],
    output: Output = Format.TABLE,
) -> None:
    """Explain one path: whose it is, what should be there and what is, why its state is what it is, what a build would do with it."""
    service = client(context)
    place = below(find(service, id)["uri"])
    found = service.get(f"{place}/explanation?path={quote(os.fsencode(path), safe='')}")
    if output is Format.JSON:
        render.as_json(found)
        return
    for line in _lines(found):
        render.say(line)


def explain_image(
    context: typer.Context,
    id: Annotated[int, typer.Option("--id", help="Number of the machine image.")],
    path: Annotated[str, typer.Argument(help="An absolute path of the image; any bytes.")],
    output: Output = Format.TABLE,
) -> None:
    """Explain one path of an image: which package, overlay entry, element, pass or step of its template wrote it, and by which rule."""
    found = client(context).get(f"images/{id}/explanation?path={quote(os.fsencode(path), safe='')}")
    if output is Format.JSON:
        render.as_json(found)
        return
    origin, source = found["origin"], found["source"]
    render.say(found["path"])
    render.say(f"  by:        {origin['by']}: {origin['what']}")
    render.say(f"  why:       {origin['why']}{' (rule ' + origin['rule'] + ')' if origin['rule'] else ''}")
    render.say(f"  on source: {source['state'] + ' (' + source['reason'] + ')' if source else 'not there'}")


def _lines(found: dict[str, Any]) -> Iterator[str]:
    yield found["path"]
    yield f"  state:    {found['state']} ({found['reason']})"
    yield f"  rule:     {found['rule']}"
    if "excludedBy" in found:
        yield f"  excluded: with {found['excludedBy']}, which was not read"
    else:
        package = found["package"]
        yield f"  package:  {' '.join(package.values()) if package else 'none owns it'}"
        yield f"  expected: {_values(found['expected'])}"
        yield f"  actual:   {_values(found['actual'])}"
    rule = found["build"]["rule"]
    yield f"  a build:  {found['build']['action']}: {found['build']['why']}{f' (rule {rule})' if rule else ''}"


def _values(values: dict[str, Any] | None) -> str:
    if values is None:
        return "nothing"
    told = [f"{name} {value}" for name, value in values.items() if value not in (None, "", {})]
    return ", ".join(told) or "not known"
