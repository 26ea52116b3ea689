"""`forgelet job`: what the service is doing, and what it did."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from cli import render
from cli.context import Left, client, one_of
from cli.render import Format, Output

app = typer.Typer(help="Jobs: scans, builds and proofs, running and past.", no_args_is_help=True)
Id = Annotated[int | None, typer.Argument(help="Number of the job.", metavar="ID")]
Numbered = Annotated[int | None, typer.Option("--id", help="Number of the job, said as other commands want it.")]
BAR = 40


@app.command("list")
def list_jobs(context: typer.Context, output: Output = Format.TABLE) -> None:
    """List the jobs."""
    service = client(context)
    answer = service.control("GET", "jobs")
    if output == Format.JSON:
        render.as_json(answer)
        return
    render.say(f"Getting jobs for [{service.user}] ...")
    jobs = answer["jobs"]["job"]
    rows = [(job["dbId"], job["kind"], job["state"], job["stage"], f"{job['percentage']}%", render.short(job["message"]), job["created"]) for job in jobs]
    render.say(render.table(("Id", "Kind", "State", "Stage", "Done", "Message", "Created"), rows))
    render.say(f"Found {len(jobs)} jobs")


@app.command()
def show(context: typer.Context, id: Id = None, numbered: Numbered = None, output: Output = Format.TABLE) -> None:
    """Show a job with the times of its stages."""
    told = client(context).control("GET", f"jobs/{one_of(id, numbered, 'job')}")
    if output == Format.JSON:
        render.as_json(told)
        return
    for label, key in (("Job", "dbId"), ("Kind", "kind"), ("Of", "subjectUri"), ("State", "state"), ("Message", "message"), ("Error", "error"), ("Next", "hint")):
        if told[key]:
            render.say(f"{label + ':':<9} {told[key]}")
    for problem in told["problems"]:
        render.say(f"  - {problem}")
    for key in ("created", "started", "ended"):
        render.say(f"{key.title() + ':':<9} {told[key] or '-'}")
    for line in waterfall(told["stages"]):
        render.say(line)


def waterfall(stages: list[dict[str, Any]]) -> list[str]:
    """One line a stage: when it began, how long it took, and a bar on a common scale."""
    if not stages:
        return []
    whole = max(stage["start"] + stage["seconds"] for stage in stages) or 1.0
    width = max(len(stage["name"]) for stage in stages)
    lines = ["", f"{'Stage':<{width}}  {'Start':>9}  {'Took':>9}"]
    for stage in stages:
        left = int(stage["start"] / whole * BAR)
        length = max(1, round(stage["seconds"] / whole * BAR))
        lines.append(f"{stage['name']:<{width}}  {stage['start']:>8.1f}s  {stage['seconds']:>8.1f}s  {' ' * left}{'#' * length}")
    return lines


@app.command()
def log(
    context: typer.Context,
    id: Id = None,
    numbered: Numbered = None,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Until the job has ended.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """Print the log of a job."""
    job = one_of(id, numbered, "job")
    try:
        pieces = client(context).log(job, follow)
        if output is Format.JSON:
            render.as_json({"dbId": job, "lines": "".join(pieces).splitlines()})
            return
        for piece in pieces:
            sys.stdout.write(piece.encode(sys.stdout.encoding or "utf-8", "backslashreplace").decode(sys.stdout.encoding or "utf-8"))
            sys.stdout.flush()
    except KeyboardInterrupt as error:
        raise Left(job) from error


@app.command()
def cancel(context: typer.Context, id: Id = None, numbered: Numbered = None, output: Output = Format.TABLE) -> None:
    """Stop a job; what it held is given back."""
    job = one_of(id, numbered, "job")
    told = client(context).control("DELETE", f"jobs/{job}")
    if told["state"] in ("done", "failed"):
        line = f"job {job} had already ended: {told['state']}"
    else:
        line = f"OK: job {job} is being stopped" if told["state"] == "running" else f"OK: job {job} is cancelled"
    render.told(output, told, line)
