"""`forgelet migration`: from a live system to an image in a cloud, in one command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cli import render
from cli.client import Client
from cli.commands.account import kept
from cli.commands.build import read_file
from cli.commands.run import opened
from cli.context import NoConfirm, client, follow, one_of
from cli.errors import FAILED, CommandError
from cli.render import Format, Output

app = typer.Typer(help="Migrations: scan, build, publish, provision and prove in one.", no_args_is_help=True)
Id = Annotated[int | None, typer.Argument(help="Number of the migration.")]
Numbered = Annotated[int | None, typer.Option("--id", help="The same, as hammr has it.")]
SOURCES = ("host", "docker", "libvirt", "local", "root")
SOURCE = {*SOURCES, "ssh-port", "user", "password", "identity-file", "accept-new-host-key", "exclude", "overlay", "jump", "dir"}
KEYS = {"name", "os", "source", "target"}
TARGET = {"builder", "provision", "verify", "publish"}


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
    named = kept(service, request["builder"].get("account"), file.parent)
    if named is not None:
        request["builder"] = {**request["builder"], "account": {"name": named}}
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
    while True:
        told: dict[str, Any] = service.get(f"migrations/{made['dbId']}")
        if told["state"] != "running":
            return told
        job = told["jobId"]
        if job is None or job in seen:
            time.sleep(0.3)
            continue
        seen.add(job)
        if not quiet:
            render.say(f"[{told['stage']}]")
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


def request_of(text: str, file: Path) -> dict[str, Any]:
    """A migration file as the service takes it. Raises `CommandError` that names every mistake."""
    import yaml

    try:
        told = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise CommandError(f"{file} is not YAML: {error}") from error
    found = told.get("migration") if isinstance(told, dict) else None
    if not isinstance(found, dict):
        raise CommandError(f"{file} has no `migration`", hint="migration: {name: …, source: {…}, target: {builder: {…}}}")
    source: dict[str, Any] = found["source"] if isinstance(found.get("source"), dict) else {}
    target: dict[str, Any] = found["target"] if isinstance(found.get("target"), dict) else {}
    problems = [*_unknown(found, KEYS, "migration"), *_unknown(source, SOURCE, "migration.source"), *_unknown(target, TARGET, "migration.target")]
    named = [one for one in SOURCES if source.get(one)]
    problems += [] if found.get("name") else ["migration.name: is missing"]
    problems += [] if found.get("os", "linux") == "linux" else [f"migration.os: '{found['os']}' cannot be migrated, only linux"]
    problems += [] if len(named) == 1 else [f"migration.source: one of {', '.join(SOURCES)} says what is migrated, not {len(named)}"]
    problems += [] if isinstance(target.get("builder"), dict) else ["migration.target.builder: is missing"]
    if problems:
        raise CommandError(f"{file} has {len(problems)} mistakes; nothing was started", hint="mend the keys named above", problems=problems)
    verify = target.get("verify", False)
    request = {
        "name": str(found["name"]),
        "target": _label(source),
        "exclude": [str(one) for one in source.get("exclude") or []],
        "overlay": source.get("overlay", True),
        "builder": target["builder"],
        "publish": target.get("publish", True),
        "verify": isinstance(verify, dict) or bool(verify),
        "probes": list(verify.get("probes") or []) if isinstance(verify, dict) else [],
    }
    if target.get("provision"):
        request["provision"] = _provision(target["provision"], file)
    if source.get("host"):
        given = {"password": source.get("password"), "identity": _path(source.get("identity-file"), file), "jump": source.get("jump"), "dir": source.get("dir")}
        given["acceptNewHostKey"] = source.get("accept-new-host-key")
        request["access"] = opened({key: value for key, value in given.items() if value}, str(request["target"]))
    return request


def _unknown(found: dict[str, Any], known: set[str], where: str) -> list[str]:
    return [f"{where}.{key}: unknown key (known: {', '.join(sorted(known))})" for key in found if key not in known]


def _label(source: dict[str, Any]) -> str:
    if source.get("host"):
        return f"ssh:{source.get('user') or 'root'}@{source['host']}:{source.get('ssh-port') or 22}"
    if source.get("root"):
        return f"directory:{Path(str(source['root'])).absolute()}"
    return "local" if source.get("local") else next(f"{kind}:{source[kind]}" for kind in ("docker", "libvirt") if source.get(kind))


def _path(given: object, file: Path) -> Path | None:
    return file.parent / Path(str(given)).expanduser() if given else None


def _provision(given: object, file: Path) -> dict[str, Any]:
    if not isinstance(given, dict) or not given.get("flavor"):
        raise CommandError("migration.target.provision: must be a mapping with a `flavor`", hint="provision: {flavor: f1.small, key: ~/.ssh/id_ed25519.pub}")
    wanted = {key: value for key, value in given.items() if key != "key"}
    keys = given.get("key") or []
    wanted["publicKeys"] = [read_file(_path(one, file) or file).strip() for one in (keys if isinstance(keys, list) else [keys])]
    return wanted
