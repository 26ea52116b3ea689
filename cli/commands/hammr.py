"""`forgelet hammr`: how a person gets the real client, and how it finds this service."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import render
from cli.context import settings_of
from cli.errors import CommandError
from cli.render import Format, Output

if TYPE_CHECKING:
    from emulator.settings import Settings

PLACE = Path("~/.hammr/credentials.yml")
TEXT = """\
hammr 3.8.13 is UForge's own client. It works with this service unmodified. It needs Python 2.7.

Get it, where there is a Python 2.7:
  python2.7 -m pip install --user 'virtualenv<20.22'
  python2.7 -m virtualenv hammr-3.8.13
  hammr-3.8.13/bin/pip install hammr==3.8.13
  hammr-3.8.13/bin/hammr -v
or anywhere else, in a container:
  forgelet lab hammr-image

Show it the way here:
  forgelet hammr --write          writes {place} (for you only): {url}, user {user}
  hammr user info
or say it each time: hammr -a {url} -u {user} -p PASSWORD user info

What `hammr scan run` needs of a machine that it scans: its SSH is of 2014 and knows neither today's key exchanges nor today's keys.
In sshd_config(5) of that machine, and only as long as you need it, since this is weak:
  KexAlgorithms +diffie-hellman-group-exchange-sha1
  HostKeyAlgorithms +ssh-rsa               (only without an ECDSA host key)
  PubkeyAcceptedAlgorithms +ssh-rsa        (only with --identity-file; the key must be RSA, as PEM: ssh-keygen -t rsa -m PEM)
A machine to practise on that has all this, on 127.0.0.1: forgelet lab up hammr-debian12
`forgelet scan run --ip HOST` scans the same machines and needs none of it.
"""


def hammr(
    context: typer.Context,
    write: Annotated[bool, typer.Option("--write", help="Write hammr's credentials file, from the connection's options and settings.")] = False,
    to: Annotated[Path, typer.Option(help="With --write: another file (.yml).")] = PLACE,
    force: Annotated[bool, typer.Option("--force", "-f", help="With --write: replace a file that is there.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """Say how to get the real client, hammr 3.8.13, and how it finds this service."""
    settings, file = settings_of(context), to.expanduser()
    # Nobody is told passwords that he did not ask for.
    told = {"url": settings.url, "user": settings.user, "credentials": str(file), "written": write}
    if not write:
        render.told(output, told, TEXT.format(place=PLACE, url=settings.url, user=settings.user).rstrip())
        return
    _write(file, credentials(settings), force=force)
    render.told(output, told, f"OK: {file}", "next: hammr user info" if to == PLACE else f"next: hammr -c {file} user info")


def credentials(settings: Settings) -> str:
    """The file's text. Raises `CommandError` for a URL that hammr cannot use."""
    import httpx
    import yaml

    if not httpx.URL(settings.url).path.strip("/"):
        raise CommandError(f"hammr cannot use {settings.url}: it looks for the agents beside the URL's last part", hint=f"{settings.url.rstrip('/')}/api")
    # hammr takes either of the two, and refuses both (PROTOCOL 1.1).
    keys = {"publickey": settings.publickey, "secretkey": settings.secretkey}
    secret = keys if any(keys.values()) else {"password": settings.password}
    # True means that no certificate is looked at: one that is trusted is given to hammr as REQUESTS_CA_BUNDLE.
    told = {"url": settings.url, "user": settings.user, **secret, "acceptAutoSigned": not settings.ca}
    return yaml.safe_dump(told, sort_keys=False)


def _write(file: Path, text: str, *, force: bool) -> None:
    """For its owner only, whole or not at all. Raises `CommandError`."""
    if file.suffix not in (".yml", ".yaml"):
        raise CommandError(f"hammr knows a credentials file by its name, and {file.name} is neither .yml nor .yaml", hint="--to FILE.yml")
    if file.exists() and not force:
        raise CommandError(f"{file} is there already", hint="--force replaces it")
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            out.write(text)
        partial.replace(file)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise CommandError(f"{file} cannot be written: {error.strerror}") from error
