"""The real connection to an SSH host, through paramiko: connect, log in, put a file, run a command; every failure with its own next step."""

from __future__ import annotations

import contextlib
import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import paramiko
from paramiko.ssh_exception import (
    BadAuthenticationType,
    BadHostKeyException,
    NoValidConnectionsError,
    PasswordRequiredException,
)

from scanner.errors import ForgeletError, StepFailed, Unreachable, UserError
from scanner.targets import hostkeys
from scanner.targets.access import Access, Place, secret
from scanner.targets.link import Pipe

PATIENCE = 15.0
"""Seconds that a host may take to answer, and again to let somebody in."""
SILENCE = 30_000
"""Milliseconds after which a host that acknowledges nothing is gone (TCP_USER_TIMEOUT of tcp(7)); something is sent every 10 s."""
KEYS = (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey)

# What it has to say comes as an exception as well; with a traceback here, it would be in the user's log.
logging.getLogger("paramiko").addHandler(logging.NullHandler())
logging.getLogger("paramiko").propagate = False


class SshLink:
    """A connection that is open and logged in; `via` is held open with it."""

    def __init__(self, client: paramiko.SSHClient, place: Place, held: ExitStack) -> None:
        self._client = client
        self._place = place
        self._held = held

    def put(self, data: bytes, folder: str, name: str) -> None:
        path = f"{folder}/{name}"
        with self._told("writing the scan agent"):
            files = self._files()
            with self._opened(files, path, folder) as file:
                try:
                    file.write(data)
                    file.chmod(0o700)
                    file.close()
                except OSError as error:
                    if not self._alive():
                        raise
                    raise StepFailed(
                        f"there is no room for the scan agent ({len(data) >> 10} KiB) in {folder} on {self._place}: {error}",
                        hint=f"make room there (df -h {folder}), or choose another folder with --dir",
                    ) from error

    def _files(self) -> paramiko.SFTPClient:
        try:
            if not hasattr(self, "_sftp"):
                self._sftp = self._client.open_sftp()
        except (paramiko.SSHException, EOFError) as error:
            if not self._alive():
                raise
            raise StepFailed(f"{self._place} has no SFTP: {error}", hint="its sshd_config needs a line 'Subsystem sftp internal-sftp'") from error
        return self._sftp

    @contextmanager
    def _opened(self, files: paramiko.SFTPClient, path: str, folder: str) -> Iterator[paramiko.SFTPFile]:
        hint = "choose another folder with --dir"
        try:
            file = files.open(path, "wx")
        except FileNotFoundError as error:
            raise UserError(f"there is no folder {folder} on {self._place}", hint=hint) from error
        except PermissionError as error:
            raise UserError(f"{self._place.user} may not write into {folder} on {self._place}", hint=hint) from error
        except OSError as error:
            if not self._alive():
                raise
            raise StepFailed(f"no file can be made in {folder} on {self._place}: {error}", hint=f"see whether the disk is full there (df -h {folder}), or {hint}") from error
        with contextlib.closing(file):
            yield file

    def start(self, command: str) -> Pipe:
        with self._told("starting the scan agent"):
            transport = self._client.get_transport()
            if transport is None:
                raise EOFError
            channel = transport.open_session(timeout=PATIENCE)
            channel.set_combine_stderr(True)
            channel.exec_command(command)
        return _ChannelPipe(channel)

    def remove(self, path: str) -> bool:
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException, StepFailed):
            self._files().remove(path)
        return self._alive()

    def close(self) -> None:
        self._held.close()

    def _alive(self) -> bool:
        transport = self._client.get_transport()
        return transport is not None and transport.is_active()

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        try:
            yield
        except ForgeletError:
            raise
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise Unreachable(f"the connection to {self._place} was lost while {what}: {error or 'end of file'}", hint="scan again when the host answers") from error


class _ChannelPipe:
    def __init__(self, channel: paramiko.Channel) -> None:
        self._channel = channel

    def send(self, data: bytes) -> None:
        self._channel.sendall(data)

    def receive(self, size: int) -> bytes:
        return self._channel.recv(size)

    def status(self) -> int | None:
        # -1: the channel was closed without a word about it.
        status = self._channel.recv_exit_status()
        return None if status < 0 else status

    def close(self) -> None:
        self._channel.close()


def connect(place: Place, access: Access, log: Callable[[str], None]) -> SshLink:
    """Connect and log in, through the jump host where there is one. `log` hears of host keys that are trusted from now on.

    Raises `Unreachable` where nothing answers, `UserError` where the host is not known, not the one it was, or does not let us in.
    """
    with ExitStack() as held:
        door = None
        if access.jump:
            jump = Place.parse(access.jump, hint="--jump USER@HOST[:PORT]")
            first = _log_in(held, jump, access, secret(access.jumpPassword), None, log)
            door = _through(first, jump, place)
        client = _log_in(held, place, access, secret(access.password), door, log)
        return SshLink(client, place, held.pop_all())


def _log_in(
    held: ExitStack, place: Place, access: Access, password: str | None, door: paramiko.Channel | None, log: Callable[[str], None]
) -> paramiko.SSHClient:
    key = _identity(access)
    client = held.enter_context(contextlib.closing(paramiko.SSHClient()))
    hostkeys.load(client)
    client.set_missing_host_key_policy(hostkeys.Unknown(place, access.acceptNewHostKey, log))
    with _explained(place, access):
        client.connect(
            place.host,
            place.port,
            place.user,
            password,
            key,
            timeout=PATIENCE,
            banner_timeout=PATIENCE,
            auth_timeout=PATIENCE * 2,
            channel_timeout=PATIENCE,
            allow_agent=access.agent,
            look_for_keys=access.agent,
            sock=door,
        )
    _watch(client)
    return client


def _watch(client: paramiko.SSHClient) -> None:
    """Notice when the other end vanishes without a word."""
    transport = client.get_transport()
    assert transport is not None
    transport.set_keepalive(10)
    if isinstance(transport.sock, socket.socket):
        transport.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SILENCE)


def _through(client: paramiko.SSHClient, jump: Place, place: Place) -> paramiko.Channel:
    transport = client.get_transport()
    assert transport is not None
    try:
        return transport.open_channel("direct-tcpip", (place.host, place.port), ("127.0.0.1", 0), timeout=PATIENCE)
    except (paramiko.SSHException, EOFError) as error:
        raise Unreachable(f"the jump host {jump} does not reach {place.known_as}: {error or 'end of file'}", hint="check --ip and --scan-port as seen from the jump host") from error


@contextmanager
def _explained(place: Place, access: Access) -> Iterator[None]:
    """What goes wrong with a connection, in words. The order matters: paramiko's errors are kinds of each other."""
    try:
        yield
    except ForgeletError:
        raise
    except BadHostKeyException as error:
        raise hostkeys.changed(place, error) from error
    except paramiko.AuthenticationException as error:
        # The same exception for a refusal and for a login that was never answered.
        if "saw EOF" in str(error) or "timeout" in str(error):
            raise Unreachable(f"the connection to {place} was lost while logging in: {error}", hint="scan again when the host answers") from error
        raise _not_let_in(place, access, error) from error
    except socket.gaierror as error:
        raise Unreachable(f"there is no host '{place.host}': {error.strerror}", hint="check --ip") from error
    except (NoValidConnectionsError, ConnectionRefusedError) as error:
        raise Unreachable(f"nothing listens on port {place.port} of {place.host}", hint="check --scan-port, and that sshd runs there") from error
    except TimeoutError as error:
        raise Unreachable(f"{place.host} does not answer on port {place.port} within {PATIENCE:.0f} s", hint="check --ip, --scan-port, and the firewalls in between") from error
    except (paramiko.SSHException, EOFError) as error:
        raise _no_ssh(place, access, error) from error
    except OSError as error:
        raise Unreachable(f"{place.host} cannot be reached: {error.strerror or error}", hint="check --ip and the network") from error
    except ValueError as error:
        raise UserError(f"the key that is known of {place.known_as} is of no use: {error}", hint=f"ssh-keygen -F '{place.known_as}' shows it") from error


def _no_ssh(place: Place, access: Access, error: Exception) -> Exception:
    if "No authentication methods" in str(error):
        return _not_let_in(place, access, error)
    if "banner" in str(error):
        return Unreachable(f"what listens on port {place.port} of {place.host} is no SSH server, or hung up at once: {error}", hint="check --scan-port")
    if "No existing session" in str(error):
        # What paramiko says when its time is up and it has heard nothing at all.
        return Unreachable(f"what listens on port {place.port} of {place.host} says nothing for {PATIENCE:.0f} s", hint="check --scan-port, and whether that machine hangs")
    return Unreachable(f"the SSH connection to {place.known_as} failed: {error or 'end of file'}", hint=f"see what ssh -v -p {place.port} {place.user}@{place.host} says")


def _not_let_in(place: Place, access: Access, error: Exception) -> UserError:
    offered = [name for name, given in (("a password", access.password), ("a key", access.identity), ("the agent's keys", access.agent)) if given]
    takes = f"; it takes: {', '.join(error.allowed_types)}" if isinstance(error, BadAuthenticationType) else ""
    return UserError(
        f"{place.known_as} does not let '{place.user}' in with {' or '.join(offered) or 'nothing at all'}{takes}",
        hint="check --scan-login and --scan-password, or give --identity-file",
    )


def _identity(access: Access) -> paramiko.PKey | None:
    """The private key of the request. Raises `UserError`."""
    text = secret(access.identity)
    if text is None:
        return None
    import io

    for kind in KEYS:
        try:
            return kind.from_private_key(io.StringIO(text), secret(access.passphrase))
        except PasswordRequiredException as error:
            raise UserError("the key of --identity-file is locked", hint="give its passphrase when asked for it") from error
        except (paramiko.SSHException, ValueError, IndexError, UnicodeError):
            continue
    locked = "its passphrase is wrong, or it" if access.passphrase else "it"
    raise UserError(f"the file of --identity-file is of no use: {locked} is no private key that SSH knows", hint="ssh-keygen -y -f FILE shows whether it is one")
