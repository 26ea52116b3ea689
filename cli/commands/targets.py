"""`forgelet scan targets`: what could be scanned now."""

from __future__ import annotations

from typing import Any

import typer

from cli import render
from cli.context import client
from cli.render import Format, Output


def targets(context: typer.Context, output: Output = Format.TABLE) -> None:
    """List the containers and virtual machines that could be scanned now."""
    answer = client(context).control("GET", "targets")
    if output == Format.JSON:
        render.as_json(answer)
        return
    found = answer["targets"]["target"]
    if found:
        render.say(render.table(("Target", "State", "Read through"), [_row(one) for one in found]))
    render.say(f"Found {sum(one['scannable'] for one in found)} live systems that can be scanned now")
    for engine in answer["unreachable"]["engine"]:
        render.warn(f"{engine['kind']}: {engine['reason']}")
        render.warn(f"  next: {engine['hint']}")


def _row(one: dict[str, Any]) -> tuple[str, str, str]:
    return (f"--{one['kind']} {one['name']}", one["state"], one["way"] or f"not now: {one['reason']}")
