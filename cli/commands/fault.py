"""`forgelet fault`: make something go wrong on purpose."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from cli import render
from cli.commands.catalogue import show
from cli.context import client
from cli.render import Format, Output

app = typer.Typer(help="Faults on purpose, at stages of jobs and at operations of the service.", no_args_is_help=True)


@app.command("list")
def list_faults(
    context: typer.Context,
    spent: Annotated[bool, typer.Option("--spent", help="Also those that cannot happen any more.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """List the faults that can still happen, with how often they did."""
    answer = client(context).control("GET", "faults", spent=spent)
    rows = [(one["dbId"], one["stage"] or one["operation"], one["user"] or "everybody", one["action"], _when(one), one["met"], one["hits"]) for one in answer["faults"]["fault"]]
    show(answer, output, ("Id", "At", "Of", "Action", "When", "Met", "Hits"), rows, "faults")


def _when(fault: dict[str, Any]) -> str:
    """In words: `the 2nd and so on`."""
    words = [f"at {fault['percent']} %"] if fault["percent"] is not None else []
    words += [f"after {fault['after']} bytes"] if fault["after"] is not None else []
    words += [f"not the first {fault['skip']}"] if fault["skip"] else []
    words += [f"1 of {fault['every']}"] if fault["every"] > 1 else []
    return ", ".join([*words, "always" if fault["times"] is None else f"{fault['times']} in all"])


@app.command("set")
def set_fault(
    context: typer.Context,
    stage: Annotated[str, typer.Option(help="Stage of a job: `forgelet fault points`.")] = "",
    operation: Annotated[str, typer.Option(help="Operation: a number of UForge's calls, a name, or a method and a path.")] = "",
    action: Annotated[str, typer.Option(help="fail, drop, hang, slow; at stages also kill, disk-full.")] = "fail",
    times: Annotated[int | None, typer.Option(help="How often in all (once; with --every always).")] = None,
    always: Annotated[bool, typer.Option("--always", help="Every time.")] = False,
    every: Annotated[int | None, typer.Option(help="Every Nth time.")] = None,
    skip: Annotated[int, typer.Option(help="Not the first N times.")] = 0,
    percent: Annotated[int | None, typer.Option(help="When the job has come to so many percent.")] = None,
    after: Annotated[str | None, typer.Option(help="When the stage has moved so many bytes: 10MB.")] = None,
    status: Annotated[int, typer.Option(help="HTTP status that an operation fails with.")] = 500,
    message: Annotated[str, typer.Option(help="What the failure says.")] = "",
    delay: Annotated[float, typer.Option(help="Seconds that pass first.")] = 0,
    output: Output = Format.TABLE,
) -> None:
    """Set a fault. Everything counts: the same requests always meet the same faults."""
    given = {"stage": stage, "operation": operation, "action": action, "times": times, "always": always, "every": every, "skip": skip}
    more = {"percent": percent, "after": after, "status": status, "message": message, "delay": delay}
    told = client(context).control("POST", "faults", {key: value for key, value in {**given, **more}.items() if value is not None})
    if output is Format.JSON:
        render.as_json(told)
        return
    render.say(f"OK: fault {told['dbId']}: {told['action']} at {told['stage'] or told['operation']}, {_when(told)}")


@app.command()
def delete(
    context: typer.Context,
    number: Annotated[int | None, typer.Argument(metavar="[ID]", help="Number of the fault; all unless given.")] = None,
    output: Output = Format.TABLE,
) -> None:
    """Take a fault away, or all of them."""
    client(context).control("DELETE", "faults" if number is None else f"faults/{number}")
    render.told(output, {"dbId": number, "deleted": True}, "OK: no faults are left" if number is None else f"OK: fault {number} is taken away")


@app.command()
def points(context: typer.Context, output: Output = Format.TABLE) -> None:
    """List where faults can be set: stages of jobs, and operations."""
    told = client(context).control("GET", "faults/points")
    if output is Format.JSON:
        render.as_json(told)
        return
    within = told["within"]
    reach = [(one, "-".join(map(str, within[one]["percent"] or ())), "yes" if within[one]["bytes"] else "") for one in told["stages"]]
    render.say(render.table(("Stage", "Percent", "Bytes"), reach))
    rows = [(", ".join(map(str, one["numbers"])), one["name"], one["operation"]) for one in told["operations"]]
    render.say(render.table(("UForge's call", "Name", "Operation"), rows))
