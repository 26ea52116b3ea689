"""`forgelet migration`: from a live system to an image in a cloud, in one command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cli import render
from cli.client import Client
from cli.commands.account import kept
from cli.commands.build import read_file
from cli.context import NoConfirm, client, follow, one_of
from cli.errors import FAILED, CommandError
from cli.migrationfile import request_of
from cli.render import Format, Output
from cli.sendable import named

app = typer.Typer(help="Migrations: scan, build, publish, provision and prove in one.", no_args_is_help=True)
Id = Annotated[int | None, typer.Argument(help="Number of the migration.")]
Numbered = Annotated[int | None, typer.Option("--id", help="The same, as hammr has it.")]


@app.command()
def launch(
    context: typer.Context,
    file: Annotated[Path, typer.Option(help="The migration file: `migration` with name, source and target.")],
    detach: Annotated[bool, typer.Option("--detach", help="Do not wait for the end.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """Take a live system to a cloud: scan, build, publish, and if asked start an instance and prove the copy."""
    service = client(context)
    request = request_of(read_file(file), file)
    account = kept(service, request["builder"].get("account"), file.parent)
    request["builder"] = {**request["builder"], "account": {"name": account}} if account is not None else named(request["builder"])
    made = service.post("migrations/launches", request)
    if output != Format.JSON:
        render.say(f"OK: migration {made['dbId']} '{made['name']}': {', '.join(made['stageList'])}")
    _finish(service, made, detach, output)


def _finish(service: Client, made: dict[str, Any], detach: bool, output: Format) -> None:
    told = made if detach else _follow(service, made, quiet=output == Format.JSON)
    if output == Format.JSON:
        render.as_json(told)
    elif not detach:
        for line in _facts(told):
            render.say(line)
    if told["state"] in ("failed", "cancelled"):
        raise CommandError(told["status"]["errorMessage"] or "cancelled", hint=told["hint"], exit_code=told["exitCode"] or FAILED)


def _follow(service: Client, made: dict[str, Any], *, quiet: bool) -> dict[str, Any]:
    """Wait for the end, the bar of each stage's job in turn; the migration as it is then."""
    import time

    seen: set[int] = set()
    stage = ""
    while True:
        told: dict[str, Any] = service.get(f"migrations/{made['dbId']}")
        if told["state"] != "running":
            return told
        if not quiet and told["stage"] != stage:
            render.say(f"[{told['stage']}]")
        stage, job = told["stage"], told["jobId"]
        if job is None or job in seen:
            time.sleep(0.3)
            continue
        seen.add(job)
        try:
            follow(service, job, quiet=quiet)
        except CommandError:
            continue  # The migration says what it means for the whole.


def _facts(told: dict[str, Any]) -> list[str]:
    made = ", ".join(f"{stage} {number}" for stage, number in told["made"].items())
    return [f"{told['name']}: {told['status']['message']}", f"  made: {made or 'nothing'}", *([f"  next: {told['hint']}"] if told["hint"] else [])]


@app.command("list")
def list_migrations(context: typer.Context, output: Output = Format.TABLE) -> None:
    """List the migrations."""
    answer = client(context).get("migrations")
    if output == Format.JSON:
        render.as_json(answer)
        return
    found = answer["migrations"]["migration"]
    if found:
        rows = [(one["dbId"], one["name"], one["state"], one["status"]["message"], f"{one['status']['percentage']} %") for one in found]
        render.say(render.table(("Id", "Name", "State", "Stage", "Done"), rows))
    render.say(f"Found {len(found)} migrations")


@app.command()
def show(context: typer.Context, id: Id = None, numbered: Numbered = None, output: Output = Format.TABLE) -> None:
    """Show a migration: where it is and what it made."""
    told = client(context).get(f"migrations/{one_of(id, numbered, 'migration')}")
    if output == Format.JSON:
        render.as_json(told)
        return
    for line in _facts(told):
        render.say(line)


@app.command()
def stop(context: typer.Context, id: Id = None, numbered: Numbered = None, output: Output = Format.TABLE) -> None:
    """Stop a migration in the stage where it is. What was made stays."""
    number = one_of(id, numbered, "migration")
    client(context).post(f"migrations/{number}/stop", {})
    render.told(output, {"dbId": number, "stopped": True}, "OK: stopped")


@app.command()
def resume(
    context: typer.Context,
    id: Id = None,
    numbered: Numbered = None,
    file: Annotated[Path | None, typer.Option(help="The migration file again: for the access to an SSH host, when its scan or proof is still to come.")] = None,
    output: Output = Format.TABLE,
) -> None:
    """Go on with a migration from the stage at which it stopped."""
    service = client(context)
    access = request_of(read_file(file), file).get("access") if file is not None else None
    _finish(service, service.post(f"migrations/{one_of(id, numbered, 'migration')}/resume", {"access": access}), False, output)


@app.command()
def delete(
    context: typer.Context,
    id: Id = None,
    numbered: Numbered = None,
    no_confirm: NoConfirm = False,
    output: Output = Format.TABLE,
) -> None:
    """Forget a migration; it is stopped first. What it made stays."""
    number = one_of(id, numbered, "migration")
    client(context).delete(f"migrations/{number}")
    render.told(output, {"dbId": number, "deleted": True}, "OK: deleted")
