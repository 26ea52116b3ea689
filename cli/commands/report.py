"""`forgelet scan show|packages|services|users|files`: a scan's report, by its parts."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Any

import typer

from cli import render
from cli.client import Client
from cli.context import client
from cli.scans import below, find

Id = Annotated[int, typer.Option("--id", help="Number of the scan.")]


class Shape(StrEnum):
    """How a report is printed."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"
    NDJSON = "ndjson"


Output = Annotated[Shape, typer.Option("-o", "--output", callback=render.chosen, help="`json`, `yaml`: only that on standard output; `ndjson`: a row a line.")]


def mount(app: typer.Typer) -> None:
    """Put the commands under `scan`."""
    for command in (show, packages, services, users, files):
        app.command()(command)


def _found(context: typer.Context, scan_id: int) -> tuple[Client, dict[str, Any], str]:
    """The service, the scan and its place below the user."""
    service = client(context)
    scan = find(service, scan_id)
    return service, scan, below(scan["uri"])


def show(context: typer.Context, id: Id, output: Output = Shape.TABLE) -> None:
    """Show a scan and the sums of its report."""
    service, scan, place = _found(context, id)
    report = service.get(f"{place}/report") if scan["status"]["complete"] else None
    if output is Shape.JSON:
        render.as_json({**scan, "report": report})
        return
    if output is Shape.NDJSON:
        _row({**scan, "report": report})
        return
    render.say(f"{scan['name']} of {scan['target']}: {render.state(scan['status'])}")
    if scan["status"]["error"]:
        render.say(f"  {scan['status']['errorMessage']}")
    for line in _sums(report) if report else ():
        render.say(line)


def _sums(report: dict[str, Any]) -> list[str]:
    system = report["system"]
    redacted = report.get("redacted", [])
    return [
        f"System:   {system['distribution']} {system['version']} {system['arch']}, host name {system['hostname']}",
        f"Overlay:  {'yes' if report['overlay'] else 'no'}",
        f"Packages: {len(report['packages'])}   services: {len(report['services'])}   users: {len(report['users'])}   groups: {len(report['groups'])}",
        f"Modes:    known of {sum(one.get('modes', False) for one in report['packages'])} packages as they ship them (dpkg: by their .deb files, where the machine has them)",
        f"Contents: {render.size(report['bytes'])}, digest {report['digest']}",
        *(f"  {name:<18} {count:>9}" for name, count in report["counts"].items()),
        *([f"Redacted: {len(redacted)} secrets must be supplied at build time"] if redacted else []),
        *(f"  - {one['path']}: {one['secret']}" for one in redacted),
        f"Blind spots: {len(report['blind_spots'])}",
        *(f"  - {spot['path']}: {spot['reason']}" for spot in report["blind_spots"]),
    ]


def tell_redacted(service: Client, place: str) -> None:
    """Name what a redacted scan left on the machine, beside the result."""
    redacted = service.get(f"{place}/report").get("redacted", [])
    render.warn(f"{len(redacted)} secrets stayed on the machine: supply them at build time")
    for one in redacted:
        render.warn(f"  - {one['path']}: {one['secret']}")


def _part(context: typer.Context, scan_id: int, part: str, item: str, columns: dict[str, str], output: Shape) -> None:
    service, _, place = _found(context, scan_id)
    answer = service.get(f"{place}/{part}")
    members = answer[part][item]
    if output is Shape.JSON:
        render.as_json(answer)
    elif output is Shape.NDJSON:
        for member in members:
            _row(member)
    else:
        render.say(render.table(list(columns), [[_cell(member[key]) for key in columns.values()] for member in members]))
        render.say(f"Found {len(members)} {part}")


def _row(row: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(row, ensure_ascii=True, separators=(",", ":")) + "\n")


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "X" if value else ""
    return ", ".join(value) if isinstance(value, list) else str(value if value is not None else "")


def packages(context: typer.Context, id: Id, output: Output = Shape.TABLE) -> None:
    """List the packages of a scan."""
    columns = {"Name": "name", "Version": "version", "Arch": "arch", "Status": "status", "Auto": "auto", "Hold": "hold"}
    _part(context, id, "packages", "package", columns, output)


def services(context: typer.Context, id: Id, output: Output = Shape.TABLE) -> None:
    """List the services of a scan."""
    _part(context, id, "services", "service", {"Name": "name", "State": "state", "Package": "package", "Exec": "exec"}, output)


def users(context: typer.Context, id: Id, output: Output = Shape.TABLE) -> None:
    """List the users of a scan."""
    columns = {"Name": "name", "Uid": "uid", "Gid": "gid", "Home": "home", "Shell": "shell", "Password": "password"}
    _part(context, id, "users", "user", columns, output)


def files(
    context: typer.Context,
    id: Id,
    state: Annotated[str | None, typer.Option(help="Only files in this state, such as unmanaged.")] = None,
    output: Output = Shape.TABLE,
) -> None:
    """List the files of a scan, `/` included. A line a file, as they come: there may be a million."""
    service, _, place = _found(context, id)
    lines = service.lines(f"{place}/files", **({"state": state} if state else {}))
    for piece in _pieces(lines, output):
        sys.stdout.write(piece)


def _pieces(lines: Iterator[str], output: Shape) -> Iterator[str]:
    if render.yaml_wanted():
        return (f"- {line}\n" for line in lines)  # a line of JSON is one of YAML
    if output is Shape.JSON:
        return _json_array(lines)
    return (line + "\n" if output is Shape.NDJSON else _file_line(line) for line in lines)


def _json_array(lines: Iterator[str]) -> Iterator[str]:
    yield "[" + next(lines, "")  # an error of the service comes before the first sign of an answer
    yield from (",\n" + line for line in lines)
    yield "]\n"


def _file_line(line: str) -> str:
    entry = json.loads(line)
    owner = f"{entry['uid']}:{entry['gid']}"
    return render.showable(f"{entry['state']:<16} {entry['type']:<9} {entry['mode']:<4} {owner:<11} {entry['size']:>11} {entry['path']}") + "\n"
