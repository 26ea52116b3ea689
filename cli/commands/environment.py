"""`forgelet env` and `forgelet status`: how other tools find the service, and how it is."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import render
from cli.client import Client
from cli.context import client, settings_of
from cli.errors import UNREACHABLE, CommandError
from cli.render import Format, Output

if TYPE_CHECKING:
    from emulator.settings import Settings

TOOLS = ("forgelet", "hammr", "openstack", "docker")


def env(
    context: typer.Context,
    tool: Annotated[str, typer.Argument(help="forgelet, hammr, openstack or docker; all of them unless given.")] = "",
    account: Annotated[str, typer.Option(help="For openstack: the cloud account that it is to use; the only one of its kind unless given.")] = "",
    output: Output = Format.TABLE,
) -> None:
    """Print what tools need to find the service, for a shell: eval "$(forgelet env)". Passwords of cloud accounts are never told."""
    if tool and tool not in TOOLS:
        raise CommandError(f"there is no tool '{tool}'", hint="one of " + ", ".join(TOOLS))
    found = {name: value for one in TOOLS if tool in ("", one) for name, value in _variables(context, one, account, asked=bool(tool)).items()}
    if output is Format.JSON:
        render.as_json(found)
        return
    for name, value in found.items():
        render.say(f"export {name}={shlex.quote(value)}")


def _variables(context: typer.Context, tool: str, account: str, *, asked: bool) -> dict[str, str]:
    if tool == "forgelet":
        return _ours(settings_of(context))
    if tool == "hammr":
        return {"HAMMR_OPTIONS": shlex.join(_options(settings_of(context)))}
    if tool == "docker":
        from emulator import local

        found = local.docker_host()
        return {"DOCKER_HOST": found} if found else {}
    return _openstack(client(context), account, asked=asked)


def _ours(settings: Settings) -> dict[str, str]:
    """All that says where the service is and who asks; without a password where keys are used instead."""
    keys = {"FORGELET_PUBLICKEY": settings.publickey, "FORGELET_SECRETKEY": settings.secretkey}
    secret = keys if any(keys.values()) else {"FORGELET_PASSWORD": settings.password}
    more = {"FORGELET_TOKEN": settings.token, "FORGELET_CA": settings.ca, "FORGELET_INSECURE": "1" if settings.insecure else ""}
    return {"FORGELET_URL": settings.url, "FORGELET_USER": settings.user, **secret, **{name: value for name, value in more.items() if value}}


def _options(settings: Settings) -> list[str]:
    """hammr reads no environment: its options are put where its alias finds them. With options it looks at no certificate (PROTOCOL 1.1)."""
    keys = ["-k", settings.publickey, "-s", settings.secretkey]
    return ["-a", settings.url, "-u", settings.user, *(keys if settings.publickey or settings.secretkey else ["-p", settings.password])]


def _openstack(service: Client, wanted: str, *, asked: bool) -> dict[str, str]:
    accounts = [one for one in service.get("accounts")["credAccounts"]["credAccount"] if one.get("keystoneUrl") and wanted in ("", one["name"])]
    if len(accounts) != 1:
        if asked or wanted:
            names = ", ".join(one["name"] for one in accounts) or "none"
            raise CommandError(f"which OpenStack account? There is: {names}", hint="--account NAME; forgelet account list")
        return {}
    one = accounts[0]
    pairs = {
        "OS_AUTH_URL": one["keystoneUrl"],
        "OS_USERNAME": one.get("login", ""),
        "OS_PROJECT_NAME": one.get("keystoneProject", ""),
        "OS_USER_DOMAIN_NAME": one.get("keystoneDomain", ""),
        "OS_PROJECT_DOMAIN_NAME": one.get("keystoneDomain", ""),
        "OS_REGION_NAME": one.get("region", ""),
        "OS_IDENTITY_API_VERSION": "3",
    }
    return {name: value for name, value in pairs.items() if value}


def status(context: typer.Context, output: Output = Format.TABLE) -> None:
    """Show whether the service is there and ready, what this machine can do, and what runs. Exit code 3 when it is not ready."""
    service = client(context)
    health = service.control("GET", "health")
    jobs = service.control("GET", "jobs")["jobs"]["job"]
    running = [one for one in jobs if one["state"] in ("queued", "running")]
    told = {"url": service.url, "user": service.user, **health, "jobs": {"unfinished": len(running), "failed": sum(one["state"] == "failed" for one in jobs), "all": len(jobs)}}
    if output is Format.JSON:
        render.as_json(told)
    else:
        _tell(told, running)
    raise typer.Exit(0 if health["ready"] else UNREACHABLE)


def _tell(told: dict[str, Any], running: list[dict[str, Any]]) -> None:
    render.say(f"Forgelet {told['version']} at {told['url']}, asked by {told['user']}: {'ready' if told['ready'] else 'not ready'}")
    if "seed" in told:
        seed = told["seed"]
        render.say(f"seed '{seed['name']}': {seed['state']} {seed['step']} {seed['error']}".rstrip())
    for name, one in told["capabilities"].items():
        render.say(f"  {name:<12} {'yes' if one['ok'] else 'no: ' + one['reason']}")
    for job in running:
        render.say(f"  job {job['dbId']} ({job['kind']}): {job['stage'] or job['state']}, {job['percentage']} %")
    render.say(f"{told['jobs']['all']} jobs, {told['jobs']['failed']} failed")
