"""Where an SSH host is, and what opens it. Secrets: they live in memory, in a request's body and in the pipe to a job, nowhere else."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from scanner.errors import UserError

HINT = "ssh:USER@HOST:PORT; with the port only where it is not 22"
PLACE = re.compile(r"(?P<user>[^@:/\s]+)@(?P<host>\[[0-9A-Fa-f:.%]+\]|[^@:/\s\[\]]+)(?::(?P<port>\d{1,5}))?")


@dataclass(frozen=True, slots=True)
class Place:
    """`USER@HOST:PORT`; an IPv6 address stands in brackets."""

    user: str
    host: str
    port: int = 22

    @classmethod
    def parse(cls, text: str, *, hint: str = HINT) -> Place:
        """Raises `UserError`."""
        found = PLACE.fullmatch(text)
        port = int(found["port"] or 22) if found else 0
        if found is None or not 0 < port < 65536 or found["host"].startswith("-"):
            raise UserError(f"'{text}' names no SSH host", hint=hint)
        return cls(found["user"], found["host"].strip("[]"), port)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.user}@{host}:{self.port}"

    @property
    def known_as(self) -> str:
        """The host's name in known_hosts (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT)."""
        return self.host if self.port == 22 else f"[{self.host}]:{self.port}"


class Access(BaseModel):
    """What opens a live system. Never printed, logged or stored: secrets show as asterisks."""

    model_config = ConfigDict(extra="forbid")

    password: SecretStr | None = Field(default=None, max_length=1024)
    identity: SecretStr | None = Field(default=None, max_length=32 << 10)
    """A private key, as its file has it."""
    passphrase: SecretStr | None = Field(default=None, max_length=1024)
    """Opens `identity`."""
    agent: bool = False
    """Offer the keys of the ssh agent, and the key files, of the one who runs the service."""
    sudoPassword: SecretStr | None = Field(default=None, max_length=1024)
    """For a user who is not root; `password` where this is not given. It is only sent when sudo asks."""
    jump: str = ""
    """`USER@HOST[:PORT]`: the host through which the connection goes."""
    jumpPassword: SecretStr | None = Field(default=None, max_length=1024)
    acceptNewHostKey: bool = False
    """Trust the key of a host that is not known yet, and remember it. A changed key is never trusted."""
    dir: str = Field(default="/tmp", pattern=r"^/[^\x00-\x1f]*$")
    """Folder on the live system where the agent's file is put."""

    def revealed(self) -> str:
        """As JSON with the secrets in it, for the one pipe that may carry them."""
        return json.dumps({name: _bare(getattr(self, name)) for name in self.model_fields_set})

    @classmethod
    def parse(cls, text: str) -> Access:
        """Of what `revealed` gave. Raises `UserError`, which shows nothing of it."""
        try:
            return cls.model_validate_json(text)
        except ValidationError:
            raise UserError("the access to the live system is malformed") from None


def _bare(value: object) -> object:
    return value.get_secret_value() if isinstance(value, SecretStr) else value


def secret(value: SecretStr | None) -> str | None:
    """The text of a secret that may not be there."""
    return None if value is None else value.get_secret_value()
