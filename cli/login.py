"""Who asks, and where: from options, settings, or a credentials file as hammr has it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli.errors import CommandError
from cli.yamlfile import data_of, text_of

KEYS = {"url": "url", "user": "user", "password": "password", "publickey": "publickey", "secretkey": "secretkey", "acceptAutoSigned": "insecure"}
"""A credentials file's keys -> ours (PROTOCOL 1.1)."""
TRUE = ("true", "yes", "on", "1")


@dataclass
class Connection:
    """The options of the command line; None: as the settings say."""

    url: str | None = None
    user: str | None = None
    password: str | None = None
    insecure: bool | None = None
    ca: str | None = None
    publickey: str | None = None
    secretkey: str | None = None
    credentials: Path | None = None


def credentials(file: Path) -> dict[str, Any]:
    """What a credentials file says, under our names. Raises `CommandError`."""
    hint = "forgelet hammr --write --to FILE writes one"
    if file.suffix not in (".yml", ".yaml", ".json"):
        raise CommandError(f"the credentials file {file} is neither .yml, .yaml nor .json", hint=hint)
    told = data_of(text_of(file, hint), file, hint, raw=True)
    if not isinstance(told, dict):
        raise CommandError(f"the credentials file {file} is no mapping", hint=hint)
    unknown = [f"{key}: unknown key (known: {', '.join(KEYS)})" for key in told if key not in KEYS]
    missing = [f"{key}: is missing" for key in ("url", "user") if not told.get(key)]
    if unknown or missing:
        raise CommandError(f"the credentials file {file} is wrong", hint=hint, problems=[*missing, *unknown])
    found = {ours: str(told[key]) for key, ours in KEYS.items() if told.get(key) is not None}
    # Values are read as they are written: a password of digits stays one.
    return {**found, "insecure": found["insecure"].lower() in TRUE} if "insecure" in found else dict(found)


def asked(connection: Connection) -> dict[str, Any]:
    """What the command line says of the connection; a credentials file is read where it names one, options win over it. Raises `CommandError`."""
    given = {name: value for name, value in vars(connection).items() if name != "credentials" and value is not None}
    file = credentials(connection.credentials) if connection.credentials is not None else {}
    # Whoever says a password does not mean the keys that the settings may have.
    return {**({"publickey": "", "secretkey": ""} if file or "password" in given else {}), **file, **given}
