"""Any host that SSH reaches: the agent's one file is put there, run as root over one pipe, and gone as soon as it runs.

Two remote commands a scan: the file transfer, and the agent. No credential is on a command line: the password for sudo goes in by
standard input, and only when sudo asks.
"""

from __future__ import annotations

import contextlib
import shlex
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from scanner.bundle import NO_PYTHON, NOEXEC, bundle
from scanner.errors import ForgeletError, StepFailed, Unreachable, UserError
from scanner.report import Container
from scanner.targets import agent, memory
from scanner.targets.access import Access, Place, secret
from scanner.targets.link import Link, Pipe
from scanner.targets.programs import late
from scanner.targets.session import Session

PREFIX = "ssh:"
NO_SUDO = 77
"""The starter's exit status where there is no sudo (EX_NOPERM of sysexits.h)."""
START = """
[ "$(id -u)" = 0 ] && exec sh {file} session
command -v sudo >/dev/null || exit 77
exec sudo {options} -- sh {file} session
"""

Connect = Callable[[Place, Access, Callable[[str], None]], Link]


def _connect(place: Place, access: Access, log: Callable[[str], None]) -> Link:
    from scanner.targets.sshlink import connect

    return connect(place, access, log)


class SshTarget:
    """`ssh:USER@HOST:PORT`. Holds its connection until it is closed; `root` is the tree that is read there."""

    def __init__(self, place: str, access: Access, *, connect: Connect = _connect, root: str = "/", log: Callable[[str], None] = lambda line: None) -> None:
        """Raises `UserError` when `place` is none."""
        self._place = Place.parse(place)
        self._access = access
        self._connect = connect
        self._root = root
        self._log = log
        self._link: Link | None = None
        self._session: Session | None = None
        self._pipe: Pipe | None = None

    @property
    def label(self) -> str:
        return f"{PREFIX}{self._place}"

    def facts(self) -> Container | None:
        """None: no engine knows more. Connects and logs in: raises `Unreachable`, `UserError`."""
        self._connected()
        return None

    def execute(self, argv: Sequence[str], timeout: float = 60.0) -> tuple[int, bytes]:
        """Run a program there as root (by sudo, where that asks no password): exit status and output. Raises `Unreachable`, `StepFailed`."""
        pipe = self._connected().start(f'[ "$(id -u)" = 0 ] || exec sudo -n -- {shlex.join(argv)}; exec {shlex.join(argv)}')
        cut = threading.Timer(timeout, pipe.close)
        cut.start()
        try:
            said = b"".join(iter(lambda: pipe.receive(1 << 16), b""))
            status = pipe.status() if cut.is_alive() else None
        finally:
            ended = cut.is_alive()
            cut.cancel()
            pipe.close()
        if status is None:
            raise late(self.label, timeout) if not ended else Unreachable(f"the connection to {self._place} was lost", hint="try again when the host answers")
        return status, said

    @contextmanager
    def inventory(self, excludes: Sequence[str], known: Path | None = None) -> Iterator[BinaryIO]:
        with memory.packed(known) as lines, self._ask(agent.words(agent.Place(self._root), excludes, lines and "-"), lines) as stream:
            yield stream

    def capture(self, paths: Path) -> contextlib.AbstractContextManager[BinaryIO]:
        return self._ask(["capture", "--root", self._root, "--paths", "-"], paths)

    def close(self) -> None:
        """Hang up; the agent ends by that."""
        link, pipe = self._link, self._pipe
        self._link = self._session = self._pipe = None
        if pipe:
            pipe.close()
        if link:
            link.close()

    @contextmanager
    def _ask(self, arguments: Sequence[str], body: Path | None = None) -> Iterator[BinaryIO]:
        try:
            with self._agent().ask(arguments, body) as stream:
                yield stream
        except BaseException:
            # Where the answer stopped is not known: this session is of no more use.
            self.close()
            raise

    def _connected(self) -> Link:
        if self._link is None:
            self._link = self._connect(self._place, self._access, self._log)
        return self._link

    def _agent(self) -> Session:
        """The agent, put there and started when it was not yet."""
        if self._session is None:
            link = self._connected()
            folder, name = self._access.dir.rstrip("/"), f"uforge-scan-{uuid.uuid4().hex[:12]}.bin"
            try:
                link.put(bundle(), folder, name)
                self._session = self._started(link, f"{folder}/{name}")
            except BaseException:
                self._take_away(link, f"{folder}/{name}")
                raise
        return self._session

    def _take_away(self, link: Link, path: str) -> None:
        """The file of an agent that did not start, over a connection of its own when the first one is lost."""
        if not link.remove(path):
            with contextlib.suppress(ForgeletError), contextlib.closing(self._connect(self._place, self._access, self._log)) as again:
                again.remove(path)

    def _started(self, link: Link, path: str) -> Session:
        prompt = f"password-{uuid.uuid4().hex}:"
        password = secret(self._access.sudoPassword) or secret(self._access.password)
        options = "-n" if password is None else f"-S -p {prompt}"
        script = START.format(file=shlex.quote(path), options=options)
        pipe = self._pipe = link.start(f"exec sh -c {shlex.quote(script)}")
        session = Session(pipe, str(self._place))
        try:
            said = session.greet(prompt.encode(), password)
        except OSError as error:
            raise self._lost() from error
        if said is not None:
            raise self._lost() if not said.endswith(prompt) and pipe.status() is None else self._refusal(pipe, said, prompt)
        return session

    def _lost(self) -> Unreachable:
        return Unreachable(f"the connection to {self._place} was lost while the scan agent started", hint="scan again when the host answers")

    def _refusal(self, pipe: Pipe, said: str, prompt: str) -> Exception:
        """Why there is no agent, from what was said instead of its greeting."""
        user, where = self._place.user, self._place
        if said.endswith(prompt):
            return UserError(f"sudo on {where} does not take the password of '{user}'", hint="check --sudo-password")
        status = pipe.status()
        last = next((line.strip() for line in reversed(said.splitlines()) if line.strip()), "no output")
        if status == NO_SUDO:
            return UserError(f"'{user}' is not root on {where}, and there is no sudo", hint="--scan-login root, or install sudo there")
        if status == NOEXEC:
            return UserError(f"programs may not run in {self._access.dir} on {where} (noexec)", hint="choose another folder with --dir, such as the user's home")
        if status == NO_PYTHON:
            return UserError(f"the scan agent finds no usable Python on {where}: {last}", hint="install Python 3.6 or newer there: apt-get install python3, or dnf install python3")
        if "sudo:" in said or "sudoers" in said or "may not run" in said or "not allowed" in said:
            return UserError(f"sudo on {where} refuses '{user}': {last}", hint="give --sudo-password, log in as root, or let the user run sudo there (visudo)")
        return StepFailed(f"the scan agent does not start on {where} (status {status}): {last}", hint=f"see what ssh -p {where.port} {user}@{where.host} true says")
