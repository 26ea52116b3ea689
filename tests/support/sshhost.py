"""Real SSH hosts for tests: containers with sshd, with several users and with all, half or none of Python."""

from __future__ import annotations

import io
import json
import socket
import subprocess
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization as how
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from support.service import until

from emulator.lab.engine import OURS, SYSTEM, docker_engine
from emulator.lab.image import ensure_image
from emulator.lab.system import find_system
from scanner.host.mirrors import debian_mirrors
from scanner.progress import Silent

LABEL = "forgelet.test"
TAG = "forgelet-test-ssh"
PASSWORD = "correct horse battery"
"""Of root and of every user."""
RECIPE = f"""
FROM {{base}} AS none
LABEL {LABEL}=1 {OURS}=0 {SYSTEM}=
RUN apt-get update && apt-get install -y --no-install-recommends sudo
RUN for user in me nopass nosudo other; do useradd --create-home --shell /bin/bash $user; done \\
 && for user in root me nopass nosudo other; do echo "$user:{PASSWORD}"; done | chpasswd \\
 && printf 'me ALL=(ALL) ALL\\nnopass ALL=(ALL) NOPASSWD: ALL\\n' > /etc/sudoers.d/test \\
 && printf 'PermitRootLogin yes\\nLogLevel VERBOSE\\nMaxStartups 100\\n' > /etc/ssh/sshd_config.d/00-test.conf \\
 && mkdir -p /run/sshd /tree/etc /tree/tmp /tree/srv && printf 'hello\\n' > /tree/etc/hello && chmod 640 /tree/etc/hello
FROM none AS minimal
RUN apt-get install -y --no-install-recommends python3-minimal
FROM minimal AS full
RUN apt-get install -y --no-install-recommends python3
"""
TMPFS = {"/noexec": "rw,noexec,mode=1777", "/small": "rw,exec,size=8k,mode=1777"}


@contextmanager
def images(work: Path) -> Iterator[dict[str, str]]:
    """The images by what they have of Python: `none`, `minimal`, `full`. They are not the lab's, whose labels they would inherit."""
    with docker_engine() as engine:
        base = ensure_image(engine, find_system("debian12-web"), debian_mirrors(), work, Silent())
        made = {}
        for stage in ("none", "minimal", "full"):
            made[stage] = f"{TAG}:{stage}"
            engine.images.build(fileobj=io.BytesIO(RECIPE.format(base=base).encode()), target=stage, tag=made[stage], network_mode="host", rm=True)
        try:
            yield made
        finally:
            for tag in reversed(made.values()):
                engine.images.remove(tag, force=True)


@dataclass(frozen=True)
class SshHost:
    """A running container whose sshd answers at `port` of 127.0.0.1."""

    name: str
    port: int

    def shell(self, script: str) -> str:
        done = subprocess.run(["docker", "exec", self.name, "sh", "-c", script], capture_output=True, check=True)
        return done.stdout.decode(errors="replace")

    @property
    def root(self) -> str:
        """The container's tree, as this machine sees it."""
        done = subprocess.run(["docker", "inspect", "--format", "{{.State.Pid}}", self.name], capture_output=True, check=True, text=True)
        return f"/proc/{done.stdout.strip()}/root"

    def place(self, user: str = "root") -> str:
        return f"{user}@127.0.0.1:{self.port}"

    def leftovers(self) -> str:
        """The agent's files and processes that are there now."""
        files = "find / /noexec /small -xdev -name 'uforge-scan*' 2>/dev/null"
        # The pattern does not match this very command line.
        return self.shell(f"{files}; grep -la '[u]forge-scan-' /proc/[0-9]*/cmdline 2>/dev/null || true")

    def settled(self) -> None:
        """Waits until nothing of ours is left there; fails when something stays."""
        until(lambda: not self.leftovers())

    def sessions(self) -> list[str]:
        """What clients had run there so far: sshd's own log."""
        return [line.partition("Starting session: ")[2] for line in self.shell("cat /run/sshd.log").splitlines() if "Starting session: " in line]


@contextmanager
def running(image: str, public: bytes) -> Iterator[SshHost]:
    """A host of that image; `public` opens root, me and nopass."""
    name = f"forgelet-test-{uuid.uuid4().hex[:8]}"
    with docker_engine() as engine:
        box = engine.containers.run(image, ["sleep", "infinity"], name=name, detach=True, init=True, labels={LABEL: "1"}, ports={"22/tcp": ("127.0.0.1", 0)}, tmpfs=TMPFS)
        try:
            box.reload()
            host = SshHost(name, int(box.ports["22/tcp"][0]["HostPort"]))
            key = public.decode()
            host.shell(f"for home in /root /home/me /home/nopass; do mkdir -p -m 700 $home/.ssh; echo '{key}' > $home/.ssh/authorized_keys; done; chown -R me: /home/me; chown -R nopass: /home/nopass")
            host.shell("mkdir -p /run/sshd; /usr/sbin/sshd -E /run/sshd.log")
            until(lambda: _greets(host.port))
            yield host
        finally:
            box.remove(force=True, v=True)


def _greets(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 2) as sock:
            return sock.recv(4) == b"SSH-"
    except OSError:
        return False


@dataclass(frozen=True)
class KeyPair:
    """A key as ssh-keygen would write it."""

    private: str
    locked: str
    """The same with the passphrase `PASSWORD`."""
    public: bytes


def key_pair() -> KeyPair:
    key = Ed25519PrivateKey.generate()
    form = (how.Encoding.PEM, how.PrivateFormat.OpenSSH)
    return KeyPair(
        key.private_bytes(*form, how.NoEncryption()).decode(),
        key.private_bytes(*form, how.BestAvailableEncryption(PASSWORD.encode())).decode(),
        key.public_key().public_bytes(how.Encoding.OpenSSH, how.PublicFormat.OpenSSH),
    )


class Cutter:
    """A port of 127.0.0.1 that leads to another; after `count` bytes from there what is open is cut, once: later connections last."""

    def __init__(self, to: int, count: int) -> None:
        self._to, self._left = to, count
        self._cut = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        try:
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._to))
                threading.Thread(target=self._pump, args=(near, far, False), daemon=True).start()
                threading.Thread(target=self._pump, args=(far, near, not self._cut), daemon=True).start()
        except OSError:
            return

    def _pump(self, source: socket.socket, to: socket.socket, counted: bool) -> None:
        try:
            while data := source.recv(1 << 14):
                if counted:
                    data, self._left = data[: self._left], self._left - len(data)
                to.sendall(data)
                if counted and self._left <= 0:
                    self._cut = True
                    break
        except OSError:
            pass
        for sock in (source, to):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    @property
    def cut(self) -> bool:
        """Whether it has happened."""
        return self._cut

    def close(self) -> None:
        self._listener.close()


def access(**fields: object) -> dict[str, object]:
    """The body of a request's `access` for a host that nobody knows yet."""
    told: dict[str, object] = json.loads(json.dumps({"acceptNewHostKey": True, **fields}))
    return told
