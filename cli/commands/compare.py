"""`forgelet scan compare`: what differs between scans, for people, programs and browsers."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Any

import typer

from cli import render
from cli.context import client
from cli.differences import name, values, words
from cli.errors import DIFFERENT


class Shape(StrEnum):
    """How a comparison is printed."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"
    HTML = "html"


class Scope(StrEnum):
    """What is compared."""

    PACKAGES = "packages"
    FILES = "files"
    USERS = "users"
    SERVICES = "services"


def compare(
    context: typer.Context,
    id: Annotated[list[int], typer.Option("--id", help="Number of a scan; given twice, or more often.")],
    scope: Annotated[list[Scope] | None, typer.Option(help="Only this; may be repeated.")] = None,
    ignore: Annotated[list[str] | None, typer.Option(help="A field of files that does not count, such as mtime; may be repeated.")] = None,
    output: Annotated[Shape, typer.Option("-o", "--output", callback=render.chosen, help="`json`, `yaml`: only that on standard output; `html`: one page that needs nothing else.")] = Shape.TABLE,
) -> None:
    """Compare scans: exit code 0 when they are equal, 4 when they are not. Of three or more: who is not with the majority."""
    found = client(context).get("scancomparison", id=id, scope=[one.value for one in scope or []], ignore=ignore or [])
    if output is Shape.JSON:
        render.as_json(found)
    elif output is Shape.HTML:
        from cli.page import page

        sys.stdout.write(page(found))
    else:
        for line in _lines(found):
            render.say(line)
    raise typer.Exit(0 if found["equal"] else DIFFERENT)


def _lines(found: dict[str, Any]) -> Iterator[str]:
    scans = found["scans"]["scan"]
    yield "Comparing " + " with ".join(f"{one['dbId']} ({one['name']})" for one in scans)
    for scope, counts in found["counts"].items():
        yield f"{scope}: {', '.join(f'{number} {change}' for change, number in counts.items()) or 'equal'}"
        if found[scope]:
            yield render.table(*_table(found[scope], [str(one["dbId"]) for one in scans]))
        yield from _diffs(found[scope])
    yield "The scans are equal" if found["equal"] else "The scans differ"


def _table(items: list[dict[str, Any]], ids: list[str]) -> tuple[list[str], list[list[str]]]:
    outliers = "outliers" in items[0]
    header = ["Name", "Change", "What", *ids, *(["Outliers"] if outliers else [])]
    return header, [[*_cells(item), *([_apart(item)] if outliers else [])] for item in items]


def _cells(item: dict[str, Any]) -> list[str]:
    return [name(item), item["change"], words(item), *(render.short(value, 40) for value in values(item))]


def _apart(item: dict[str, Any]) -> str:
    return ", ".join(map(str, item["outliers"] or ["no majority"]))


def _diffs(items: list[dict[str, Any]]) -> Iterator[str]:
    for item in items:
        if item.get("diff"):
            yield f"--- {name(item)}"
            yield from item["diff"].split("\n")[2:]
