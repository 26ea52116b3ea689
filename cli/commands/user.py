"""`forgelet user`: who am I; and, for administrators, who else there is."""

from __future__ import annotations

import getpass
import sys
from typing import Annotated, Any

import typer

from cli import render
from cli.commands.catalogue import show
from cli.context import client
from cli.errors import CommandError
from cli.render import Format, Output

app = typer.Typer(help="Users, their keys and quotas.", no_args_is_help=True)
Login = Annotated[str, typer.Argument(help="The user's login.")]
HEADER = ("Login", "Email", "Lastname", "Firstname", "Active", "Admin", "Created")


@app.command()
def info(context: typer.Context, output: Output = Format.TABLE) -> None:
    """Show the user that the service knows you as."""
    service = client(context)
    user = service.get("")
    if output == Format.JSON:
        render.as_json(user)
        return
    render.say(f"Getting user [{service.user}] ...")
    render.say(render.table(HEADER, [_row(user)]))


app.command("show", hidden=True)(info)


def _row(user: dict[str, Any]) -> tuple[str, ...]:
    return (
        user["loginName"],
        user.get("email", ""),
        user.get("surname", ""),
        user.get("firstName", ""),
        _mark(user["active"]),
        _mark(user["admin"]),
        user["created"],
    )


@app.command("list")
def list_users(context: typer.Context, output: Output = Format.TABLE) -> None:
    """List the users."""
    answer = client(context).control("GET", "users")
    show(answer, output, HEADER, [_row(one) for one in answer["users"]["user"]], "users")


@app.command()
def create(
    context: typer.Context,
    login: Login,
    admin: Annotated[bool, typer.Option("--admin", help="May manage users, and act as any of them.")] = False,
    email: Annotated[str, typer.Option(help="Address.")] = "",
    first_name: Annotated[str, typer.Option(help="First name.")] = "",
    surname: Annotated[str, typer.Option(help="Last name.")] = "",
    output: Output = Format.TABLE,
) -> None:
    """Make a user. The password is asked for, or is the first line of standard input."""
    body = {"login": login, "password": _password(login), "admin": admin, "email": email, "firstName": first_name, "surname": surname}
    made = client(context).control("POST", "users", body)
    render.told(output, made, f"OK: user '{login}'")


def _password(login: str) -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    first = getpass.getpass(f"New password for {login}: ")
    if getpass.getpass("Again: ") != first:
        raise CommandError("the two are not the same")
    return first


@app.command()
def password(context: typer.Context, login: Login, output: Output = Format.TABLE) -> None:
    """Change a password: yours, or anybody's for an administrator. It is asked for, or is the first line of standard input."""
    client(context).control("PUT", f"users/{login}/password", {"password": _password(login)})
    render.told(output, {"loginName": login, "changed": True}, "OK: changed")


@app.command()
def delete(context: typer.Context, login: Login, output: Output = Format.TABLE) -> None:
    """Delete a user who has no scans, images and templates any more."""
    client(context).control("DELETE", f"users/{login}")
    render.told(output, {"loginName": login, "deleted": True}, "OK: deleted")


@app.command()
def key(
    context: typer.Context,
    login: Login,
    list: Annotated[bool, typer.Option("--list", help="Show the public keys that there are.")] = False,
    delete: Annotated[int | None, typer.Option(help="Revoke the key of that number.")] = None,
    output: Output = Format.TABLE,
) -> None:
    """Make a pair of API keys. The secret one is shown this once."""
    service = client(context)
    if delete is not None:
        service.control("DELETE", f"users/{login}/keys/{delete}")
        render.told(output, {"dbId": delete, "deleted": True}, "OK: revoked")
    elif list:
        answer = service.control("GET", f"users/{login}/keys")
        show(answer, output, ("Id", "Public key", "Created"), [(one["dbId"], one["publicKey"], one["created"]) for one in answer["keys"]["key"]], "keys")
    else:
        made = service.control("POST", f"users/{login}/keys")
        if output is Format.JSON:
            render.as_json(made)
            return
        render.say(f"public key: {made['publicKey']}\nsecret key: {made['secretKey']}")


@app.command()
def quota(
    context: typer.Context,
    login: Login,
    type: Annotated[str, typer.Option(help="appliance, diskusage, generation or scan.")],
    limit: Annotated[int, typer.Option(help="How much; bytes for diskusage; -1: unlimited.")],
    output: Output = Format.TABLE,
) -> None:
    """Say how much a user may have."""
    client(context).control("PUT", f"users/{login}/quotas", {"type": type, "limit": limit})
    render.told(output, {"loginName": login, "type": type, "limit": limit}, "OK: set")


def _mark(value: bool) -> str:
    return "X" if value else ""
