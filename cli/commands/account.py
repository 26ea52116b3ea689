"""`forgelet account`: list, create, delete."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.commands.catalogue import show
from cli.context import client
from cli.errors import CommandError
from cli.render import Format, Output, say

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
def create(context: typer.Context, file: Annotated[Path, typer.Option(help="YAML or JSON with `accounts`, or `builders` that have an `account`.")]) -> None:
    """Keep the accounts of a file, all of hammr's keys understood."""
    service = client(context)
    for account in _accounts(file):
        made = service.post("accounts", _request(account, file))
        say(f"OK: account '{made['name']}' of {made['targetPlatform']['name']} has the number {made['dbId']}")


def _accounts(file: Path) -> list[dict[str, Any]]:
    import yaml

    try:
        told = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise CommandError(f"{file} cannot be read: {error}") from error
    if not isinstance(told, dict):
        raise CommandError(f"{file} is no mapping", hint="accounts: [{type: OpenStack, name: …}]")
    found = told.get("accounts") or [one.get("account") for one in told.get("builders") or [] if isinstance(one, dict)]
    accounts = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
    problems = [f"account {number}: {key} is missing" for number, one in enumerate(accounts, 1) for key in ("type", "name") if not one.get(key)]
    if problems or not accounts:
        raise CommandError(f"{file} has no complete account", hint="accounts: [{type: OpenStack, name: …}]", problems=problems)
    return accounts


def _request(account: dict[str, Any], file: Path) -> dict[str, Any]:
    given = {RENAMED.get(key, key): value for key, value in account.items() if key not in ("type", "cert", "file")}
    request = {**given, "targetPlatform": {"name": str(account["type"])}}
    if "cert" in account:
        path = file.parent / str(account["cert"])
        try:
            content = base64.b64encode(path.read_bytes()).decode()
        except OSError as error:
            raise CommandError(f"the certificate {path} cannot be read: {error.strerror}") from error
        request["certificates"] = {"certificate": [{"name": path.name, "type": "googleCertificate", "content": content}]}
    # YAML reads a version such as 3 or 12345678 as a number; UForge's elements are strings, but for ports.
    return {key: str(value) if isinstance(value, (int, float)) and not key.lower().endswith("port") else value for key, value in request.items()}


@app.command()
def delete(context: typer.Context, id: Annotated[int, typer.Option("--id", help="Number of the account.")]) -> None:
    """Forget an account."""
    client(context).delete(f"accounts/{id}")
    say("OK: deleted")
