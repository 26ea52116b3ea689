"""`forgelet image evidence` and `forgelet verify --bundle`: a proof that can be carried away, and checked where nobody knows this machine."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Any

import typer

from cli import render
from cli.context import client
from cli.errors import DIFFERENT, CommandError
from cli.render import Format, Output


def evidence(
    context: typer.Context,
    id: Annotated[int, typer.Option("--id", help="Number of the image.")],
    file: Annotated[Path | None, typer.Option(help="Where to write the archive; `evidence-ID.tar.gz` unless given.")] = None,
    output: Output = Format.TABLE,
) -> None:
    """Write what the image's last proof stands on as one archive: reports, spec, plan, logs, fidelity report, hashes."""
    place = file or Path(f"evidence-{id}.tar.gz")
    for _ in client(context).download(f"images/{id}/evidence", place):
        pass
    with place.open("rb") as archive:
        digest = hashlib.file_digest(archive, "sha256").hexdigest()
    size = place.stat().st_size
    lines = (f"OK: {place}, {render.size(size)}", f"check it anywhere: forgelet verify --bundle {place} --sha256 {digest}")
    render.told(output, {"file": str(place), "size": size, "sha256": digest}, *lines)


def verify(
    bundle: Annotated[Path, typer.Option(help="The archive of `image evidence`.")],
    sha256: Annotated[str, typer.Option(help="The sha256 that it must have, as its maker told it.")] = "",
    strict: Annotated[bool, typer.Option("--strict", help="What a rule explains counts as a difference as well.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """Check a bundle of evidence, without any service: is it whole, and does its verdict follow from what is in it?"""
    from emulator import local

    try:
        found = local.recheck(bundle, sha256, strict=strict)
    except FileNotFoundError as error:
        raise CommandError(f"there is no file {error.filename}", hint="forgelet image evidence --id ID makes a bundle") from error
    if output is Format.JSON:
        render.as_json(found)
    else:
        for line in _lines(found, known=bool(sha256)):
            render.say(line)
    raise typer.Exit(0 if found["faithful"] else DIFFERENT)


def _lines(found: dict[str, Any], *, known: bool) -> list[str]:
    rows = [(name, sums["equal"], sums["explained"], sums["unexplained"]) for name, sums in found["scopes"].items()]
    proven = found["proven"]
    return [
        f"sha256 {found['sha256']}{'' if known else ' (compare it with what its maker told you)'}",
        f"source {proven['source']}, file table {proven['scan_digest']}",
        f"image  sha256 {proven['image']}",
        render.table(("Scope", "Equal", "Explained", "Unexplained"), rows),
        "Compared anew from both file tables, by the rules of this Forgelet. Taken on the proof's word:",
        *(f"  - {word}" for word in found["attested"]),
        "OK: the evidence holds, and the copy is the source" if found["faithful"] else f"DIFFERENT: the evidence holds, and the copy is not {_what(found)}",
    ]


def _what(found: dict[str, Any]) -> str:
    strictly = found["strict"] and not any(sums["unexplained"] for sums in found["scopes"].values())
    return "strictly the source: what rules explain counts" if strictly else "the source"
