"""`forgelet account`: list, create, check, delete, rotate-key."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.client import Client
from cli.clouds import account_of
from cli.commands.catalogue import show
from cli.context import NoConfirm, client
from cli.errors import CommandError
from cli.render import Format, Output, as_json, say, told, warn
from cli.yamlfile import data_of, text_of

app = typer.Typer(help="Cloud accounts.", no_args_is_help=True)

RENAMED = {"proxyHostname": "proxyHost", "accessKey": "accessKeyId", "secretAccessKey": "secretAccessKeyId"}
"""Keys of hammr's account files -> UForge's elements, where they differ (PROTOCOL section 8)."""


@app.command("list")
def list_accounts(context: typer.Context, output: Output = Format.TABLE) -> None:
    """List the accounts; their secrets are never shown."""
    answer = client(context).get("accounts")
    found = answer["credAccounts"]["credAccount"]
    rows = [(one["dbId"], one["name"], one["targetPlatform"]["name"], one["created"], "X" if one["secretsMissing"] else "") for one in found]
    show(answer, output, ("Id", "Name", "Platform", "Created", "Secrets missing"), rows, "accounts")


@app.command()
def create(
    context: typer.Context,
    file: Annotated[Path | None, typer.Option(help="YAML or JSON with `accounts`, or `builders` that have an `account`.")] = None,
    cloud: Annotated[str | None, typer.Option(help="A cloud of clouds.yaml, by name.")] = None,
    name: Annotated[str, typer.Option(help="With --cloud: what the account is called; as the cloud unless given.")] = "",
    output: Output = Format.TABLE,
) -> None:
    """Keep the accounts of a file, all of hammr's keys understood, or a cloud of clouds.yaml."""
    if (file is None) == (cloud is None):
        raise CommandError("which account?", hint="give --file FILE, or --cloud NAME of clouds.yaml")
    service, made = client(context), []
    for account in accounts_of(file) if file is not None else [account_of(cloud or "", name)]:
        made.append(service.post("accounts", request_of(account, (file or Path()).parent)))
    lines = [f"OK: account '{one['name']}' of {one['targetPlatform']['name']} has the number {one['dbId']}" for one in made]
    told(output, {"credAccounts": {"credAccount": made}}, *lines)
    for one in made:
        if one.get("warning"):
            warn(f"'{one['name']}': {one['warning']}")


@app.command()
def check(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The account, by name or number.")],
    domain: Annotated[str, typer.Option(help="As a builder's keystoneDomain.")] = "",
    project: Annotated[str, typer.Option(help="As a builder's keystoneProject, or tenantName.")] = "",
    output: Output = Format.TABLE,
) -> None:
    """Really log in, and tell what the account may do."""
    service = client(context)
    found = service.get("accounts")["credAccounts"]["credAccount"]
    mine = [one for one in found if name in (one["name"], str(one["dbId"]))]
    if not mine:
        raise CommandError(f"there is no cloud account '{name}'", hint="forgelet account list")
    said = service.get(f"accounts/{mine[0]['dbId']}/standing", domain=domain, project=project)
    if output is Format.JSON:
        as_json(said)
        return
    say(f"OK: '{mine[0]['name']}' is {said['user']} of the project {said['project']}")
    for ability, able in said["abilities"].items():
        say(f"  {ability}: {'yes' if able else 'no'}")
    for key, value in said["facts"].items():
        say(f"  {key}: {value}")


def accounts_of(file: Path) -> list[dict[str, Any]]:
    """The entries of an account file; one that says `cloud: NAME` comes from clouds.yaml. Raises `CommandError`."""
    read = data_of(text_of(file), file, raw=True)
    if not isinstance(read, dict):
        raise CommandError(f"{file} is no mapping", hint="accounts: [{type: OpenStack, name: …}]")
    found = read.get("accounts") or [one.get("account") for one in read.get("builders") or [] if isinstance(one, dict)]
    listed = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
    accounts = [account_of(str(one["cloud"]), str(one.get("name") or "")) if one.get("cloud") else one for one in listed]
    problems = [f"account {number}: {key} is missing" for number, one in enumerate(accounts, 1) for key in ("type", "name") if not one.get(key)]
    if problems or not accounts:
        raise CommandError(f"{file} has no complete account", hint="accounts: [{type: OpenStack, name: …}]", problems=problems)
    return accounts


def kept(service: Client, given: object, folder: Path) -> str | None:
    """The name of the account that a builder's `account` has in a file (`file`) or in clouds.yaml (`cloud`): kept by the service as it
    is there. None when it is named in any other way. Raises `CommandError`."""
    if not isinstance(given, dict) or not (given.get("file") or given.get("cloud")):
        return None
    if given.get("cloud"):
        found, place = [account_of(str(given["cloud"]), str(given.get("name") or ""))], folder
    else:
        source = folder / str(given["file"])
        found, place = accounts_of(source), source.parent
    chosen = [one for one in found if given.get("name") in (None, one["name"])]
    if len(chosen) != 1:
        names = ", ".join(str(one["name"]) for one in found)
        raise CommandError(f"{given.get('file') or given['cloud']} has the accounts {names}: which one?", hint="account: {file: FILE, name: NAME}")
    known = {one["name"]: one["dbId"] for one in service.get("accounts")["credAccounts"]["credAccount"]}
    request, number = request_of(chosen[0], place), known.get(chosen[0]["name"])
    # What the file says counts: it may have a corrected password.
    service.post("accounts", request) if number is None else service.put(f"accounts/{number}", request)
    return str(chosen[0]["name"])


def request_of(account: dict[str, Any], folder: Path) -> dict[str, Any]:
    """An entry of an account file as the service takes it; `folder` is where its certificate lies. Raises `CommandError`."""
    given = {RENAMED.get(key, key): value for key, value in account.items() if key not in ("type", "cert", "file")}
    request = {**given, "targetPlatform": {"name": str(account["type"])}}
    if "cert" in account:
        path = folder / str(account["cert"])
        try:
            content = base64.b64encode(path.read_bytes()).decode()
        except OSError as error:
            raise CommandError(f"the certificate {path} cannot be read: {error.strerror}") from error
        request["certificates"] = {"certificate": [{"name": path.name, "type": "googleCertificate", "content": content}]}
    # UForge's elements are texts, and values are read as they are written; but for ports.
    return {key: int(value) if key.lower().endswith("port") and str(value).isdecimal() else value for key, value in request.items()}


@app.command()
def delete(context: typer.Context, id: Annotated[int, typer.Option("--id", help="Number of the account.")], no_confirm: NoConfirm = False, output: Output = Format.TABLE) -> None:
    """Forget an account."""
    client(context).delete(f"accounts/{id}")
    told(output, {"dbId": id, "deleted": True}, "OK: deleted")


@app.command("rotate-key")
def rotate_key(context: typer.Context, output: Output = Format.TABLE) -> None:
    """Change the key that the service's stored secrets are encrypted with (`secrets.key` in its data folder); for an administrator."""
    said = client(context).control("POST", "secrets/rotation")
    told(output, said, f"OK: {said['resealed']} secrets are encrypted with a new key; the old one is gone")
