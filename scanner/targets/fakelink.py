"""A connection for tests: the live system is this machine, commands run in a local shell, and it can be cut at any byte."""

from __future__ import annotations

import os
import subprocess
from contextlib import ExitStack
from pathlib import Path

from scanner.host import run
from scanner.targets.link import Pipe


class FakeLink:
    """A live system that is this machine: commands run in a local shell. `cut_after` bytes of output, the connection is lost."""

    def __init__(self, *, cut_after: int | None = None) -> None:
        self.left = cut_after
        self._held = ExitStack()
        self._pipes: list[_LocalPipe] = []
        self.commands: list[str] = []

    def put(self, data: bytes, folder: str, name: str) -> None:
        path = Path(folder) / name
        path.write_bytes(data)
        path.chmod(0o700)

    def start(self, command: str) -> Pipe:
        self.commands.append(command)
        argv = ["sh", "-c", command]
        process = self._held.enter_context(run.popen(argv, stdin=subprocess.PIPE, stderr=subprocess.STDOUT))
        self._pipes.append(_LocalPipe(process, self))
        return self._pipes[-1]

    def remove(self, path: str) -> bool:
        if self.left == 0:
            return False
        Path(path).unlink(missing_ok=True)
        return True

    def close(self) -> None:
        for pipe in self._pipes:
            pipe.close()
        self._held.close()


class _LocalPipe:
    def __init__(self, process: subprocess.Popen[bytes], link: FakeLink) -> None:
        self._process = process
        self._link = link

    def send(self, data: bytes) -> None:
        assert self._process.stdin
        self._process.stdin.write(data)
        self._process.stdin.flush()

    def receive(self, size: int) -> bytes:
        assert self._process.stdout
        if self._link.left == 0:
            self.close()
            return b""
        data = os.read(self._process.stdout.fileno(), size if self._link.left is None else min(size, self._link.left))
        if self._link.left is not None:
            self._link.left -= len(data)
        return data

    def status(self) -> int | None:
        return None if self._link.left == 0 else self._process.wait()

    def close(self) -> None:
        assert self._process.stdin and self._process.stdout
        if not self._process.stdin.closed:
            self._process.stdin.close()
        self._process.stdout.close()
