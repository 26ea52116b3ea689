"""`forgelet journal`: what was asked of the service, what it answered, and what its jobs did."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer

from cli import render
from cli.commands.catalogue import show as show_list
from cli.context import client
from cli.errors import DIFFERENT, CommandError
from cli.render import Format, Output

app = typer.Typer(help="The journal: every request and every event of a job.", no_args_is_help=True)

Kind = Annotated[str, typer.Option(help="request, or job.")]
Of = Annotated[str, typer.Option("--of", metavar="LOGIN", help="Of this user.")]
Method = Annotated[str, typer.Option(help="GET, POST …")]
Path_ = Annotated[str, typer.Option("--path", help="Of this path; `*` is any characters.")]
Operation = Annotated[str, typer.Option(help="Of this operation, by any name that `forgelet fault points` lists.")]
Status = Annotated[str, typer.Option(help="404, or 4xx.")]
JobId = Annotated[int, typer.Option("--job", help="Of this job.")]
Unread = Annotated[bool, typer.Option("--unread", help="Requests with fields that nothing read.")]
Limit = Annotated[int, typer.Option(help="How many at most, the last ones.")]


@app.command("list")
def list_entries(
    context: typer.Context,
    kind: Kind = "",
    of: Of = "",
    method: Method = "",
    path: Path_ = "",
    operation: Operation = "",
    status: Status = "",
    job: JobId = 0,
    unread: Unread = False,
    limit: Limit = 50,
    output: Output = Format.TABLE,
) -> None:
    """List entries, the newest last."""
    answer = client(context).control("GET", "journal", **_query(kind, of, method, path, operation, status, job, unread), limit=limit)
    rows = [_row(one) for one in answer["journal"]["entry"]]
    show_list(answer, output, ("Id", "Time", "User", "What", "How it went", "Took", "Not read"), rows, "entries")


def _query(kind: str, of: str, method: str, path: str, operation: str, status: str, job: int, unread: bool) -> dict[str, Any]:
    given = {"kind": kind, "user": of, "method": method, "path": path, "operation": operation, "status": status, "job": job, "unread": unread}
    return {name: value for name, value in given.items() if value}


def _row(entry: dict[str, Any]) -> tuple[Any, ...]:
    if entry["kind"] == "job":
        job = entry["job"]
        return (entry["id"], entry["time"][11:23], entry["user"], f"job {job['dbId']} ({job['kind']})", f"{job['name']} {render.short(job['message'], 40)}".strip(), "", "")
    took = f"{entry['milliseconds']:.0f} ms"
    return (entry["id"], entry["time"][11:23], entry["user"], f"{entry['method']} {render.short(entry['path'])}", entry["status"], took, ", ".join(entry["unread"]))


@app.command()
def show(context: typer.Context, number: Annotated[int, typer.Argument(metavar="ID", help="Number of the entry.")], output: Output = Format.TABLE) -> None:
    """Show one entry whole, with both bodies."""
    told = client(context).control("GET", f"journal/{number}")
    if output is Format.JSON:
        render.as_json(told)
        return
    for label, value in zip(("Id", "Time", "User", "What", "How it went", "Took", "Not read"), _row(told), strict=True):
        render.say(f"{label + ':':<13} {value}")
    for name in ("request", "response"):
        if told.get(name, {}).get("body"):
            render.say(f"\n{name} ({told[name]['contentType']}, {told[name]['size']} bytes)\n{told[name]['body']}")


@app.command()
def follow(
    context: typer.Context,
    kind: Kind = "",
    of: Of = "",
    method: Method = "",
    path: Path_ = "",
    operation: Operation = "",
    status: Status = "",
    job: JobId = 0,
    unread: Unread = False,
    after: Annotated[int, typer.Option(help="Begin after the entry of this number.")] = 0,
    output: Output = Format.TABLE,
) -> None:
    """Print entries as they come, until Ctrl-C; with `-o json` one object a line, with `-o yaml` one item of a list after the other."""
    query = _query(kind, of, method, path, operation, status, job, unread)
    for line in client(context).events("journal/events", **query, **({"after": after} if after else {})):
        entry = json.loads(line)
        if output is Format.JSON:
            render.item(entry)
        else:
            render.say("  ".join(str(one) for one in _row(entry) if one != ""))


@app.command()
def export(
    context: typer.Context,
    har: Annotated[Path, typer.Option(help="File to write; `-` is standard output.")],
    of: Of = "",
    method: Method = "",
    path: Path_ = "",
    operation: Operation = "",
    status: Status = "",
    output: Output = Format.TABLE,
) -> None:
    """Write the requests as HAR 1.2, without their secrets."""
    told = client(context).control("GET", "journal/har", **_query("", of, method, path, operation, status, 0, False))
    if str(har) == "-":
        render.as_json(told)
        return
    har.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    requests = len(told["log"]["entries"])
    render.told(output, {"file": str(har), "requests": requests}, f"OK: {requests} requests in {har}")


@app.command()
def clear(context: typer.Context, output: Output = Format.TABLE) -> None:
    """Forget all entries."""
    client(context).control("DELETE", "journal")
    render.told(output, {"deleted": True}, "OK: the journal is empty")


@app.command()
def replay(
    context: typer.Context,
    against: Annotated[str, typer.Option(help="The other service, such as http://127.0.0.1:8091/api.")],
    har: Annotated[Path | None, typer.Option(help="What `journal export` wrote; the service's journal unless given.")] = None,
    of: Of = "",
    path: Path_ = "",
    against_user: Annotated[str, typer.Option(help="Login there; the one here unless given.")] = "",
    against_password: Annotated[str, typer.Option(envvar="FORGELET_AGAINST_PASSWORD", help="Password there; the one here unless given (FORGELET_AGAINST_PASSWORD).")] = "",
    as_: Annotated[list[str] | None, typer.Option("--as", metavar="LOGIN:PASSWORD", help="Another user whose requests are sent, there; may be repeated.")] = None,
    ignore: Annotated[list[str] | None, typer.Option(help="Field that may differ; again for more.")] = None,
    patience: Annotated[float, typer.Option(help="Seconds for which a read is repeated until it answers the same: jobs take their time.")] = 5.0,
    output: Output = Format.TABLE,
) -> None:
    """Send the recorded requests to another service, in their order and each as the user who asked, and compare the answers. Exit code 4 when one
    differs. What somebody asked whose password is not given is not sent, and named."""
    from cli.replay import Replay

    others = [_login(one) for one in as_ or ()]
    service = client(context)
    told = _har(har) if har is not None else service.control("GET", "journal/har", **_query("", of, "", path, "", "", 0, False))
    with ExitStack() as opened:
        there = {service.user: service.elsewhere(against, against_user, against_password)}
        for login, password in others:
            there[login] = service.elsewhere(against, login, password)
        for one in there.values():
            opened.callback(one.close)
        results = Replay(there, frozenset(ignore or ()), patience).run(told["log"]["entries"])
    if output is Format.JSON:
        render.as_json({"results": results})
    else:
        _tell(results)
    raise typer.Exit(DIFFERENT if any(one["differences"] for one in results) else 0)


def _login(given: str) -> tuple[str, str]:
    login, colon, password = given.partition(":")
    if not login or not colon:
        raise CommandError("--as: give LOGIN:PASSWORD", hint="forgelet journal replay --as alice:secret")
    return login, password


def _har(file: Path) -> Any:
    try:
        told = json.loads(file.read_bytes())
        assert isinstance(told["log"]["entries"], list)
    except (OSError, ValueError, KeyError, TypeError, AssertionError) as error:
        raise CommandError(f"{file} is no HAR: {error}", hint="forgelet journal export --har FILE") from error
    return told


def _tell(results: list[dict[str, Any]]) -> None:
    for one in results:
        if one["skipped"]:
            render.say(f"not sent   {one['method']} {one['path']}: {one['skipped']}")
        for difference in one["differences"]:
            render.say(f"different  {one['method']} {one['path']}: {difference}")
    sent = [one for one in results if not one["skipped"]]
    same = sum(not one["differences"] for one in sent)
    render.say(f"{same} of {len(sent)} answers are the same; {len(results) - len(sent)} requests were not sent")
