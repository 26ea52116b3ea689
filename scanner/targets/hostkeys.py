"""Whether a host is the one that it says it is: known_hosts as OpenSSH keeps it (sshd(8)), the system's and the user's."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from pathlib import Path

from paramiko import MissingHostKeyPolicy, PKey, SSHClient
from paramiko.ssh_exception import BadHostKeyException

from scanner.errors import UserError
from scanner.targets.access import Place

SYSTEM = Path("/etc/ssh/ssh_known_hosts")


def known_hosts() -> Path:
    """The file of the user who runs this; where new keys are written down."""
    return Path.home() / ".ssh" / "known_hosts"


def load(client: SSHClient) -> None:
    """Let `client` check hosts against what is known. Missing files know nothing. Raises `UserError`."""
    for path in (SYSTEM, known_hosts()):
        try:
            client.load_system_host_keys(str(path))
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            raise UserError(f"{path} cannot be read: {error}", hint="mend the file: ssh-keygen -l -f it shows the line") from error


def fingerprint(key: PKey) -> str:
    """As ssh prints it: `SHA256:…`."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key.asbytes()).digest()).decode().rstrip("=")


class Unknown(MissingHostKeyPolicy):
    """What happens with the key of a host that is not known: it is refused, or written down when the user said so."""

    def __init__(self, place: Place, accept: bool, log: Callable[[str], None]) -> None:
        self._place = place
        self._accept = accept
        self._log = log

    def missing_host_key(self, client: SSHClient, hostname: str, key: PKey) -> None:
        """Raises `UserError` unless new keys are accepted."""
        told = f"{key.get_name()} {fingerprint(key)}"
        if not self._accept:
            raise UserError(
                f"the host key of {self._place.known_as} is not known: {told}",
                hint="compare it with the host's own (ssh-keygen -l -f /etc/ssh/ssh_host_ed25519_key.pub there), then add --accept-new-host-key",
            )
        remember(self._place.known_as, key)
        self._log(f"the host key of {self._place.known_as} is trusted from now on: {told}")


def remember(known_as: str, key: PKey) -> None:
    """Append a line to the user's known_hosts, which nobody else may write."""
    path = known_hosts()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    line = f"{known_as} {key.get_name()} {key.get_base64()}\n"
    path.touch(mode=0o600)
    with path.open("a+b") as file:
        file.seek(0)
        content = file.read()
        file.write((b"\n" if content and not content.endswith(b"\n") else b"") + line.encode())


def changed(place: Place, error: BadHostKeyException) -> UserError:
    """The error for a host whose key is not the known one."""
    return UserError(
        f"the host key of {place.known_as} has changed: it is {fingerprint(error.key)}, known is {fingerprint(error.expected_key)}; somebody may stand in between",
        hint=f"ask who runs the host; if it is right: ssh-keygen -R '{place.known_as}' takes the old key away",
    )

