"""`forgelet deploy`: instances of published images."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from cli import render
from cli.context import client, follow, one_of
from cli.errors import CommandError
from cli.render import Format, Output
from cli.yamlfile import data_of, text_of

app = typer.Typer(help="Instances of published images.", no_args_is_help=True)
One = Annotated[str, typer.Argument(metavar="ID", help="The deployment, as `deploy list` shows it.")]
Id = Annotated[str | None, typer.Argument(metavar="ID", help="The deployment, as `deploy list` shows it.")]
Named = Annotated[str | None, typer.Option("--id", help="The same, as hammr has it.")]
PROVISIONER = "provisioner: {name: web-1, region: RegionOne, network: isolated, flavor: f1.small}"
PublishId = Annotated[int, typer.Option("--publish-id", help="Number of the publication; `image list` shows it.")]


@app.command()
def create(
    context: typer.Context,
    publish_id: PublishId,
    name: Annotated[str, typer.Option(help="What the instance is called; its host name.")],
    flavor: Annotated[str, typer.Option(help="Its size; `deploy resources` names them.")],
    key: Annotated[list[Path] | None, typer.Option(help="A file with an OpenSSH public key that may log in; may be repeated.")] = None,
    user_data: Annotated[Path | None, typer.Option(help="A file for cloud-init.")] = None,
    network: Annotated[str, typer.Option(help="A network, by name.")] = "",
    port: Annotated[list[int] | None, typer.Option(help="In the local cloud: a port of the guest to be reached on 127.0.0.1; may be repeated.")] = None,
    output: Output = Format.TABLE,
) -> None:
    """Make an instance of a published image."""
    body = {
        "name": name,
        "flavor": flavor,
        "network": network,
        "publicKeys": [text_of(one).strip() for one in key or ()],
        "userData": text_of(user_data) if user_data else "",
        "ports": port or [],
    }
    provision(context, publish_id, body, output)


def deploy(
    context: typer.Context,
    publish_id: PublishId,
    file: Annotated[Path, typer.Option(help="A file with a `provisioner`: name, flavor, network; as hammr has it.")],
    output: Output = Format.TABLE,
) -> None:
    """Make an instance of a published image, as a provisioner file says. `forgelet deploy create` takes the same as options."""
    provision(context, publish_id, provisioner(text_of(file), file), output)


def provisioner(text: str, file: Path) -> dict[str, Any]:
    """What a provisioner file asks for. Raises `CommandError` that names every mistake."""
    told = data_of(text, file, PROVISIONER, raw=True)
    found = told.get("provisioner") if isinstance(told, dict) else None
    if not isinstance(found, dict):
        raise CommandError(f"{file} has no `provisioner`", hint=PROVISIONER)
    unknown = [f"provisioner.{key}: unknown key (known: name, region, network, flavor)" for key in found if key not in ("name", "region", "network", "flavor")]
    missing = [f"provisioner.{key}: is missing" for key in ("name", "flavor") if not found.get(key)]
    if unknown or missing:
        raise CommandError(f"{file} has {len(unknown + missing)} mistakes; nothing was started", hint=PROVISIONER, problems=[*missing, *unknown])
    return {key: str(found.get(key) or "") for key in ("name", "flavor", "network")}


def provision(context: typer.Context, publish_id: int, body: dict[str, Any], output: Format) -> None:
    """Ask for the instance, wait for it and tell it."""
    service, quiet = client(context), output == Format.JSON
    made = service.post(f"pimages/{publish_id}/deployments", body)
    job = follow(service, made["jobId"], quiet=quiet)
    done = service.get(f"deployments/{made['applicationId']}")
    if quiet:
        render.as_json(done)
    else:
        render.say(f"OK: {done['name']} is {done['state']}")
        for line in _facts(done):
            render.say(line)
    raise typer.Exit(job["exitCode"])


def _facts(one: dict[str, Any]) -> list[str]:
    instance = one["instances"]["instance"][-1]
    ports = [f"  port {inside}: 127.0.0.1:{outside}" for inside, outside in one["ports"].items()]
    ssh = [f"  log in: forgelet deploy ssh {one['applicationId']}"] if "22" in one["ports"] else []
    fault = [f"  {one['fault']}"] if one["fault"] else []
    address = [f"  address: {instance['hostname']}"] if instance.get("hostname") and not ports else []
    return [f"  id {one['applicationId']}, flavor {instance['flavorId']}, account {one['account']}, cloud id {one['cloudId']}", *address, *ports, *ssh, *fault]


@app.command("list")
def list_deployments(context: typer.Context, output: Output = Format.TABLE) -> None:
    """List the instances."""
    service = client(context)
    answer = service.get("deployments")
    if output == Format.JSON:
        render.as_json(answer)
        return
    found = answer["deployments"]["deployment"]
    rows = [(one["applicationId"], one["name"], one["state"], one["account"], one["instances"]["instance"][-1].get("hostname") or "", one["fault"]) for one in found]
    if rows:
        render.say(render.table(("Id", "Name", "State", "Account", "Address", "Fault"), rows))
    render.say(f"Found {len(found)} deployments")


@app.command()
def show(context: typer.Context, id: Id = None, named: Named = None, output: Output = Format.TABLE) -> None:
    """Show an instance."""
    one = client(context).get(f"deployments/{one_of(id, named, 'deployment')}")
    if output == Format.JSON:
        render.as_json(one)
        return
    render.say(f"{one['name']} is {one['state']}")
    for line in _facts(one):
        render.say(line)


@app.command()
def resources(context: typer.Context, publish_id: PublishId, output: Output = Format.TABLE) -> None:
    """What an instance of a published image can be made with."""
    found = client(context).get(f"pimages/{publish_id}/resources")
    if output == Format.JSON:
        render.as_json(found)
        return
    rows = [(one["name"], one["vcpus"], f"{one['memory']} MiB", f"{one['disk']} GiB") for one in found["flavors"]]
    render.say(render.table(("Flavor", "CPUs", "Memory", "Disk"), rows))
    render.say("networks: " + (", ".join(one["name"] for one in found["networks"]) or "none"))


@app.command()
def console(
    context: typer.Context,
    id: Id = None,
    named: Named = None,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on as it comes, until the instance ends.")] = False,
) -> None:
    """Print the serial console."""
    service, told = client(context), 0
    place = f"deployments/{one_of(id, named, 'deployment')}"
    while True:
        text = service.text(f"{place}/console")
        sys.stdout.write(text[told:])
        sys.stdout.flush()
        told = max(told, len(text))
        if not follow or service.get(place)["state"] not in ("running", "starting"):
            return
        time.sleep(1)


@app.command(context_settings={"ignore_unknown_options": True})
def ssh(
    context: typer.Context,
    id: One,
    command: Annotated[list[str] | None, typer.Argument(help="A command; a shell unless given.")] = None,
    login: Annotated[str, typer.Option(help="Who logs in.")] = "root",
    identity: Annotated[Path | None, typer.Option("-i", "--identity", help="The private key.")] = None,
) -> None:
    """Log in to an instance of the local cloud."""
    one = client(context).get(f"deployments/{id}")
    port = one["ports"].get("22")
    if port is None:
        raise CommandError(f"{one['name']} is {one['state']} and has no SSH port on this machine", hint=f"forgelet deploy show {id}")
    # Every instance has host keys of its own, and ports are used again: a key that was seen on this port before says nothing.
    options = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]
    argv = ["ssh", *options, *(["-i", str(identity)] if identity else []), "-p", str(port), f"{login}@127.0.0.1", *(command or [])]
    try:
        os.execvp("ssh", argv)
    except OSError as error:
        raise CommandError(f"ssh cannot be run: {error.strerror}", hint="apt-get install openssh-client") from error


@app.command()
def terminate(
    context: typer.Context,
    id: Id = None,
    named: Named = None,
    force: Annotated[bool, typer.Option("--force", "-f", help="hammr's; nothing is asked here.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """End an instance and take it away."""
    number = one_of(id, named, "deployment")
    client(context).delete(f"deployments/{number}")
    render.told(output, {"applicationId": number, "deleted": True}, "OK: terminated")


