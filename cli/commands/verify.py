"""`forgelet image verify`: the proof, for people, programs and browsers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from cli import render
from cli.commands.compare import Shape
from cli.context import client, follow
from cli.errors import DIFFERENT, CommandError


def verify(
    context: typer.Context,
    id: Annotated[int, typer.Option("--id", help="Number of the image.")],
    probe: Annotated[list[str] | None, typer.Option(help="`http://:PORT/PATH`, `tcp://:PORT` or `cmd:COMMAND LINE`, asked of source and copy; may be repeated.")] = None,
    source: Annotated[str, typer.Option(help="Where probes find the source, such as `docker:NAME`; where it was scanned unless given.")] = "",
    strict: Annotated[bool, typer.Option("--strict", help="What a rule explains counts as a difference as well.")] = False,
    scan_password: Annotated[str | None, typer.Option(envvar="FORGELET_SCAN_PASSWORD", help="For probes of a source that SSH reaches: its password.")] = None,
    identity_file: Annotated[Path | None, typer.Option(help="The same: a private key.")] = None,
    ssh_agent: Annotated[bool, typer.Option("--ssh-agent", help="The same: the ssh agent and the key files of the service.")] = False,
    output: Annotated[Shape, typer.Option("-o", "--output", callback=render.chosen, help="`json`, `yaml`: only that on standard output; `html`: one page that needs nothing else.")] = Shape.TABLE,
) -> None:
    """Boot a copy of an image and compare it with its source. Exit code 4 when they differ."""
    service, quiet = client(context), output is not Shape.TABLE
    body: dict[str, Any] = {"probes": probe or [], "source": source, "strict": strict}
    where = context.get_parameter_source("scan_password")
    if where is not None and where.name == "ENVIRONMENT" and source and not source.startswith("ssh:"):
        # What the environment holds is there for others, too: nobody asked for it here.
        scan_password = None
    access = {key: value for key, value in (("password", scan_password), ("identity", identity_file), ("agent", ssh_agent)) if value}
    if access:
        from cli.commands.run import opened

        body["access"] = opened(access, source)
    job = service.post(f"images/{id}/verifications", body)
    ended = follow(service, job["dbId"], quiet=quiet)
    if output is Shape.HTML:
        sys.stdout.write(service.text(f"images/{id}/verifications/last/page"))
    else:
        _tell(service.get(f"images/{id}/verifications/last"), ended["exitCode"], as_json=output is Shape.JSON)
    if ended["exitCode"] not in (0, DIFFERENT):
        raise CommandError("the proof ended in a way that is not known", exit_code=ended["exitCode"])
    raise typer.Exit(ended["exitCode"])


def _tell(found: dict[str, Any], code: int, *, as_json: bool) -> None:
    if as_json:
        render.as_json(found)
        return
    for line in report(found):
        render.say(line)
    render.say("OK: the copy is the source" if code == 0 else "DIFFERENT: the copy is not the source")


def report(found: dict[str, Any]) -> list[str]:
    """The fidelity report: sums, what nobody explained, what was excused and why, the running copy, probes, witnesses, times."""
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
    lines = [f"  {one['probe']}: {'equal' if one['equal'] else 'DIFFERENT'}: {_answers(one)}" for one in found["probes"]]
    return ["Probes:", *lines] if lines else []


def _answers(one: dict[str, Any]) -> str:
    if one["error"]:
        return str(one["error"])
    answer = f"{one['status']}, {one['size']} bytes, sha256 {one['sha256'][:12]}"
    return answer if one["equal"] else f"source {one['source_status']}, {one['source_size']} bytes, sha256 {one['source_sha256'][:12]}; copy {answer}"


def _witnesses(found: dict[str, Any]) -> list[str]:
    return ["Witnesses:", *(f"  {one['name']}: {one['verdict']}{_said(one)}" for one in found["witnesses"])] if found["witnesses"] else []


def _said(witness: dict[str, Any]) -> str:
    lines = witness["said"].splitlines()
    return f": {render.short(lines[0])}{f' (and {len(lines) - 1} lines)' if len(lines) > 1 else ''}" if lines else ""


def _times(found: dict[str, Any]) -> list[str]:
    return ["Times: " + ", ".join(f"{name} {seconds:.1f} s" for name, seconds in found["stages"].items())] if found["stages"] else []
