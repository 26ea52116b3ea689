"""`forgelet image verify`: the proof, for people."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from cli import render
from cli.context import client, follow
from cli.errors import DIFFERENT, CommandError
from cli.render import Format, Output


def verify(
    context: typer.Context,
    id: Annotated[int, typer.Option("--id", help="Number of the image.")],
    probe: Annotated[list[str] | None, typer.Option(help="`http://:PORT/PATH`, asked of source and copy; may be repeated.")] = None,
    source: Annotated[str, typer.Option(help="Where probes find the source, such as `docker:NAME`; where it was scanned unless given.")] = "",
    output: Output = Format.TABLE,
) -> None:
    """Boot a copy of an image and compare it with its source. Exit code 4 when they differ."""
    service, quiet = client(context), output == Format.JSON
    job = service.post(f"images/{id}/verifications", {"probes": probe or [], "source": source})
    ended = follow(service, job["dbId"], quiet=quiet)
    found = service.get(f"images/{id}/verifications/last")
    if quiet:
        render.as_json(found)
    else:
        for line in report(found):
            render.say(line)
        render.say("OK: the copy is the source" if ended["exitCode"] == 0 else "DIFFERENT: the copy is not the source")
    if ended["exitCode"] not in (0, DIFFERENT):
        raise CommandError("the proof ended in a way that is not known", exit_code=ended["exitCode"])
    raise typer.Exit(ended["exitCode"])


def report(found: dict[str, Any]) -> list[str]:
    """The fidelity report: sums, what nobody explained, what was excused and why, the running copy, probes, times."""
    return [*_scopes(found), *_unexplained(found), *_excuses(found), *_runtime(found), *_probes(found), *_witnesses(found), *_times(found)]


def _scopes(found: dict[str, Any]) -> list[str]:
    rows = [(name, sums["equal"], sums["explained"], sums["unexplained"]) for name, sums in found["scopes"].items()]
    return [render.table(("Scope", "Equal", "Explained", "Unexplained"), rows)]


def _unexplained(found: dict[str, Any]) -> list[str]:
    left = [one for one in found["differences"] if one["rule"] is None]
    return ["Unexplained differences:" if left else "Unexplained differences: none", *(_difference(one) for one in left)]


def _difference(one: dict[str, Any]) -> str:
    sides = f" (source: {one['source'] or '-'}; copy: {one['copy'] or '-'})" if one["source"] or one["copy"] else ""
    return f"  - {one['scope']}: {one['item']}: {one['what']}{sides}"


def _excuses(found: dict[str, Any]) -> list[str]:
    if not found["excuses"]:
        return []
    return ["Explained by rule:", *(f"  {one['count']:>6}  {one['rule']}: {one['reason']}" for one in found["excuses"])]


def _runtime(found: dict[str, Any]) -> list[str]:
    return ["The running copy:", *(f"  {key}: {_plain(value)}" for key, value in found["runtime"].items())] if found["runtime"] else []


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(str(part) for part in value) or "none"
    return str(value)


def _probes(found: dict[str, Any]) -> list[str]:
    lines = [f"  {one['probe']}: {'equal' if one['equal'] else 'DIFFERENT'}, {_facts(one)}" for one in found["probes"]]
    return ["Probes:", *lines] if lines else []


def _facts(probe: dict[str, Any]) -> str:
    return ", ".join(f"{key} {_plain(value)}" for key, value in probe.items() if key not in ("probe", "equal") and value != "")


def _witnesses(found: dict[str, Any]) -> list[str]:
    return ["Witnesses:", *(f"  {name}: {said}" for name, said in found["witnesses"].items())] if found["witnesses"] else []


def _times(found: dict[str, Any]) -> list[str]:
    return ["Times: " + ", ".join(f"{name} {seconds:.1f} s" for name, seconds in found["stages"].items())] if found["stages"] else []
