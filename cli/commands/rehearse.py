"""`forgelet scan rehearse`: what a build would meet, found out before anything is built."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cli import render
from cli.commands.build import Offline, read_file, request
from cli.context import client
from cli.errors import DONE, UNREACHABLE, USER
from cli.render import Format, Output
from cli.scans import below, find


def rehearse(
    context: typer.Context,
    id: Annotated[int, typer.Option("--id", help="Number of the scan.")],
    file: Annotated[Path, typer.Option(help="The builder file, YAML or JSON.")],
    offline: Offline = False,
    output: Output = Format.TABLE,
) -> None:
    """Say what a build would meet. Exit code 1 when it is blocked, 3 when a mirror alone blocks it."""
    service, text = client(context), read_file(file)
    tell(service.post(f"{below(find(service, id)['uri'])}/rehearsals", request(file, text, offline=offline), patient=True), output)


def tell(answer: dict[str, Any], output: Format) -> None:
    """Print the rehearsals and leave with the code that they deserve."""
    found = answer["rehearsals"]["rehearsal"]
    if output is Format.JSON:
        render.as_json(answer)
    else:
        for number, one in enumerate(found, 1):
            for line in _lines(one, f"({number}/{len(found)})"):
                render.say(line)
    raise typer.Exit(exit_code(found))


def exit_code(found: list[dict[str, Any]]) -> int:
    """0: every builder can be built, under conditions or not."""
    codes = {point["code"] for one in found for point in one["points"] if point["weight"] == "blocks"}
    return DONE if not codes else UNREACHABLE if codes == {"mirror-unreachable"} else USER


def _lines(one: dict[str, Any], place: str) -> list[str]:
    return [f"Rehearsing '{one['type']}' image {place}", *_points(one["points"]), *_means(one), f"{_word(one['verdict'])}: {one['verdict']}"]


def _word(verdict: str) -> str:
    return "BLOCKED" if verdict == "blocked" else "OK"


def _points(points: list[dict[str, Any]]) -> list[str]:
    if not points:
        return []
    rows = [(point["weight"], point["code"], point["what"]) for point in points]
    lines = [render.table(("Weight", "Point", "What"), rows)]
    for point in points:
        lines += [f"  {point['code']}: {item}" for item in point["evidence"]]
        lines += [f"  {point['code']}, next: {point['next']}"] if point["next"] else []
    return lines


def _means(one: dict[str, Any]) -> list[str]:
    lines = [f"  packages: {', '.join(f'{count} {name}' for name, count in one['packages'].items())}"] if one["packages"] else []
    if one["disk"]:
        lines.append(f"  disk: {one['disk']['used']} MiB would be used of {one['disk']['asked']}; {one['disk']['least']} would do")
    reasons: dict[str, list[str]] = {}
    for addition in one["additions"]:
        reasons.setdefault(addition["reason"], []).append(addition["item"])
    lines += [f"  would be added: {', '.join(items)} ({reason})" for reason, items in reasons.items()]
    if one["image_builder"]:
        lines.append(f"  diskimage-builder: disk-image-create {' '.join(one['image_builder']['arguments'])}")
        lines.append(f"    with {' '.join(f'{key}={value}' for key, value in one['image_builder']['environment'].items())}")
        lines += [f"    generated: {path}" for path in one["image_builder"]["files"]]
    return lines
