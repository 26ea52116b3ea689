"""The QEMU guest agent of a running machine: files in and out, programs, without any network. Source: QEMU's *Guest Agent Protocol Reference*."""

from __future__ import annotations

import base64
import io
import json
import zlib
from collections.abc import Callable
from contextlib import suppress
from typing import Any, BinaryIO

from scanner.errors import HostileInput, StepFailed
from scanner.host import clock

CHUNK = 1 << 20
"""Bytes of a file in one answer: libvirt takes answers of some MiB."""
PUSHED = 48 << 10
"""Bytes of a file in one request: the guest agent loses parts of longer requests when its machine is busy."""
TIMEOUT = 60
"""Seconds for one command."""
PATIENCE = 900.0
"""Seconds without a new byte of a file that is still written."""
POLL = 0.2

Tell = Callable[[str, int], str]
"""Sends one request (JSON) with a time limit in seconds; the answer. Raises `StepFailed`."""


class Guest:
    """One machine's agent. `where` names the machine in messages. Every call raises `StepFailed`, or `HostileInput` for nonsense."""

    def __init__(self, tell: Tell, where: str) -> None:
        self._tell = tell
        self.where = where

    def ask(self, command: str, timeout: int = TIMEOUT, **arguments: Any) -> Any:
        """The answer to one command."""
        request = {"execute": command, "arguments": arguments} if arguments else {"execute": command}
        answer = self._tell(json.dumps(request), timeout)
        try:
            return json.loads(answer)["return"]
        except (ValueError, KeyError, TypeError) as error:
            raise HostileInput(f"the guest agent of {self.where} answers nonsense to {command}") from error

    def write(self, path: str, source: BinaryIO) -> None:
        """Make the file, or empty it, and fill it."""
        handle = self.ask("guest-file-open", path=path, mode="wb")
        try:
            while chunk := source.read(PUSHED):
                body: dict[str, Any] = {"handle": handle, "buf-b64": base64.b64encode(chunk).decode()}
                self.ask("guest-file-write", **body)
            self.ask("guest-file-flush", handle=handle)
        finally:
            self.close(handle)

    def open(self, path: str) -> int:
        return int(self.ask("guest-file-open", path=path, mode="rb"))

    def close(self, handle: int) -> None:
        with suppress(StepFailed):
            self.ask("guest-file-close", handle=handle)

    def piece(self, handle: int) -> bytes:
        """What comes next in an open file; nothing where its end is now."""
        answer = self.ask("guest-file-read", handle=handle, count=CHUNK)
        try:
            data = base64.b64decode(answer.get("buf-b64", ""), validate=True)
        except (ValueError, AttributeError, TypeError) as error:
            raise HostileInput(f"the guest agent of {self.where} answers nonsense to guest-file-read") from error
        if len(data) > CHUNK:
            raise HostileInput(f"the guest agent of {self.where} answers more than it was asked for")
        return data

    def start(self, *argv: str, output: bool = False) -> int:
        """Start a program; its process id."""
        arguments: dict[str, Any] = {"path": argv[0], "arg": list(argv[1:]), "capture-output": output}
        return int(self.ask("guest-exec", **arguments)["pid"])

    def ended(self, pid: int) -> dict[str, Any] | None:
        """How it ended (`exitcode`, `out-data`); None while it runs. The agent tells an end only once."""
        status: dict[str, Any] = self.ask("guest-exec-status", pid=pid)
        return status if status.get("exited") else None

    def execute(self, *argv: str, timeout: float = 60.0) -> tuple[int, str]:
        """Run a program to its end: exit status and output."""
        status, said = self.output(*argv, timeout=timeout)
        return status, said.decode(errors="replace")

    def output(self, *argv: str, timeout: float = 60.0) -> tuple[int, bytes]:
        """As `execute`, with the output as it is."""
        pid = self.start(*argv, output=True)
        deadline = clock.monotonic() + timeout
        while (status := self.ended(pid)) is None:
            if clock.monotonic() > deadline:
                raise StepFailed(f"'{argv[0]}' did not end in {self.where} within {timeout:.0f} s", hint=f"look into the machine: virsh console {self.where}")
            clock.sleep(POLL)
        said = base64.b64decode(status.get("out-data", "")) + base64.b64decode(status.get("err-data", ""))
        return int(status.get("exitcode", -1)), said


class Growing(io.RawIOBase):
    """The contents of a gzip file in the guest, unpacked, while the program `pid` still writes it; ends when that has ended.

    Reading raises `StepFailed` where the file is cut.
    """

    def __init__(self, guest: Guest, path: str, pid: int) -> None:
        self._guest = guest
        self._pid = pid
        self._handle = guest.open(path)
        self._gunzip = zlib.decompressobj(31)
        self._packed = b""
        self.over = False
        """Whether the program has ended."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._gunzip.eof:
            data = self._unpacked(len(buffer))
            if data:
                buffer[: len(data)] = data
                return len(data)
            # The end may come without contents, as a piece of its own.
            self._packed = b"" if self._gunzip.eof else self._more()
            if not self._packed and not self._gunzip.eof:
                raise StepFailed(f"the scan agent's output in {self._guest.where} is cut", hint="look for space in its /tmp, then scan again")
        return 0

    def _unpacked(self, size: int) -> bytes:
        try:
            # Also without anything new: what was unpacked and did not fit is still in there.
            data = self._gunzip.decompress(self._packed, size)
        except zlib.error as error:
            raise HostileInput(f"the scan agent's output in {self._guest.where} is damaged: {error}") from error
        self._packed = self._gunzip.unconsumed_tail
        return data

    def _more(self) -> bytes:
        deadline = clock.monotonic() + PATIENCE
        while clock.monotonic() < deadline:
            # In this order: what was written before the end is there after it.
            self.over = self.over or self._guest.ended(self._pid) is not None
            piece = self._guest.piece(self._handle)
            if piece or self.over:
                return piece
            clock.sleep(POLL)
        raise StepFailed(f"the scan agent in {self._guest.where} says nothing any more", hint="see what the machine is busy with, then scan again")

    def close(self) -> None:
        if not self.closed:
            self._guest.close(self._handle)
        super().close()
