"""`forgelet scan run`: which live system, how it is reached, and the scan itself."""

from __future__ import annotations

import base64
import binascii
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from cli import render
from cli.client import Client
from cli.commands import report
from cli.context import client, follow
from cli.errors import CommandError
from cli.render import Format, Output
from cli.scans import below

WAYS = "one of --docker NAME, --libvirt NAME, --ip HOST, --local and --root PATH"
MAGIC = b"openssh-key-v1\0"


def run(
    context: typer.Context,
    name: Annotated[str, typer.Option(help="Name of the group that the scan belongs to.")],
    docker: Annotated[str | None, typer.Option(help="A container, by name.")] = None,
    libvirt: Annotated[str | None, typer.Option(help="A libvirt domain, by name.")] = None,
    ip: Annotated[str | None, typer.Option(help="A host that SSH reaches: name or address.")] = None,
    local: Annotated[bool, typer.Option("--local", help="The service's machine itself.")] = False,
    root: Annotated[Path | None, typer.Option(help="A root tree on the service's machine.")] = None,
    scan_port: Annotated[int | None, typer.Option(min=1, max=65535, help="With --ip: port of sshd (22).")] = None,
    scan_login: Annotated[str | None, typer.Option(help="With --ip: who logs in (root). Others need sudo there.")] = None,
    scan_password: Annotated[str | None, typer.Option(envvar="FORGELET_SCAN_PASSWORD", help="With --ip: the password; asked for when there is no other way in.")] = None,
    identity_file: Annotated[Path | None, typer.Option(help="With --ip: a private key.")] = None,
    ssh_agent: Annotated[bool, typer.Option("--ssh-agent", help="With --ip: use the ssh agent and the key files of the service.")] = False,
    sudo_password: Annotated[str | None, typer.Option(envvar="FORGELET_SUDO_PASSWORD", help="With --ip: for sudo, where it is not the login's.")] = None,
    jump: Annotated[str | None, typer.Option(help="With --ip: go through USER@HOST[:PORT].")] = None,
    jump_password: Annotated[str | None, typer.Option(envvar="FORGELET_JUMP_PASSWORD", help="With --jump: its password.")] = None,
    accept_new_host_key: Annotated[bool, typer.Option("--accept-new-host-key", help="With --ip: trust a host that is not known yet.")] = False,
    dir: Annotated[str | None, typer.Option(help="With --ip: folder there for the scan agent (/tmp).")] = None,
    overlay: Annotated[bool, typer.Option("--overlay", help="Bring home what packages alone would not give back.")] = False,
    exclude: Annotated[list[str] | None, typer.Option("-e", "--exclude", help="Paths to leave out; may be repeated.")] = None,
    redact: Annotated[bool, typer.Option("--redact", help="With --overlay: leave the contents of secrets on the machine.")] = False,
    whole: Annotated[bool, typer.Option("--whole", help="With --overlay: the files of every package as well, for `strategy: replicate`.")] = False,
    volumes: Annotated[bool, typer.Option("--volumes", help="With --docker: the contents of its volumes and bind mounts as well.")] = False,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Read every file, also those that stayed as the scan before found them.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """Scan a live system."""
    given = {
        "password": scan_password,
        "identity": identity_file,
        "agent": ssh_agent,
        "sudoPassword": sudo_password,
        "jump": jump,
        "jumpPassword": jump_password,
        "acceptNewHostKey": accept_new_host_key,
        "dir": dir,
    }
    access = {key: value for key, value in given.items() if value}
    place = (scan_login, ip, scan_port)
    target = _target(docker, libvirt, place, local, root)
    body: dict[str, Any] = {"name": name, "target": target, "overlay": overlay, "exclude": exclude or []}
    service = client(context)
    if ip is not None:
        body["access"] = opened(access, target)
    elif scan_port or scan_login or set(access) - {"password", "sudoPassword", "jumpPassword"}:
        raise CommandError("a login is for a host that SSH reaches", hint="give --ip HOST, or leave the login away")
    asked = {"redact": redact, "volumes": volumes, "whole": whole, "fresh": no_cache}
    _run(service, {**body, **{key: True for key, value in asked.items() if value}}, output)


def _target(docker: str | None, libvirt: str | None, place: tuple[str | None, str | None, int | None], local: bool, root: Path | None) -> str:
    """The label of the one live system that was named. Raises `CommandError`."""
    login, ip, port = place
    host = f"[{ip}]" if ip and ":" in ip else ip
    named = [
        *([f"docker:{docker}"] if docker is not None else []),
        *([f"libvirt:{libvirt}"] if libvirt is not None else []),
        *([f"ssh:{login or 'root'}@{host}:{port or 22}"] if ip is not None else []),
        *(["local"] if local else []),
        *([f"directory:{root.absolute()}"] if root is not None else []),
    ]
    if len(named) != 1:
        raise CommandError("what is to be scanned?", hint=f"give {WAYS}")
    return named[0]


def opened(access: dict[str, Any], target: str) -> dict[str, Any]:
    """The access as the service takes it: keys read, what is missing asked for. Raises `CommandError`."""
    identity = access.get("identity")
    if identity is not None:
        access["identity"] = _read(identity)
        if _locked(access["identity"]):
            access["passphrase"] = _ask(f"Passphrase of {identity}", "unlock the key, or use --ssh-agent")
    elif not {"password", "agent"} & access.keys():
        access["password"] = _ask(f"Password of {target.partition(':')[2]}", "give --scan-password, --identity-file or --ssh-agent")
    return access


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeError) as error:
        raise CommandError(f"the key {path} cannot be read: {error}", hint="give --identity-file with the private key, such as ~/.ssh/id_ed25519") from error


def _locked(key: str) -> bool:
    """Whether a passphrase is needed: OpenSSH's own format names the cipher behind its magic (PROTOCOL.key), PEM says ENCRYPTED."""
    try:
        packed = base64.b64decode("".join(line for line in key.splitlines() if "-----" not in line), validate=True)
    except binascii.Error:
        packed = b""
    if packed.startswith(MAGIC):
        return packed[len(MAGIC) + 4 : len(MAGIC) + 8] != b"none"
    return "ENCRYPTED" in key


def _ask(what: str, hint: str) -> str:
    if not sys.stdin.isatty():
        raise CommandError(f"{what} is needed, and there is nobody to ask", hint=hint)
    answer: str = typer.prompt(what, hide_input=True, err=True)
    return answer


def _run(service: Client, body: dict[str, Any], output: Format) -> None:
    scan = service.post("scannedinstances", body)
    job = follow(service, scan["jobId"], quiet=output == Format.JSON)
    if output == Format.JSON:
        render.as_json(service.get(below(scan["uri"])))
    else:
        render.say("OK: Scan successfully")
        render.say(f"scan {scan['dbId']}: {scan['name']}")
    _tell_blind_spots(service, below(scan["uri"]))
    if body.get("redact"):
        report.tell_redacted(service, below(scan["uri"]))
    raise typer.Exit(job["exitCode"])


def _tell_blind_spots(service: Client, place: str) -> None:
    spots = service.get(f"{place}/report")["blind_spots"]
    if spots:
        render.warn(f"{len(spots)} blind spots: what is there could not be read")
    for spot in spots:
        render.warn(f"  - {spot['path']}: {spot['reason']}")
