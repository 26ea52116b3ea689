"""Our end of the agent's session (`scanner/agent/session.py`): requests are sent, answers come as streams. Nothing is taken on trust."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from scanner.agent.session import LENGTH, MAGIC
from scanner.errors import HostileInput, StepFailed, Unreachable
from scanner.targets.link import Pipe

LARGEST = 1 << 20
"""Bytes of a piece that are believed."""
CHATTER = 64 << 10
"""Bytes that may come before the agent speaks."""
AFTER = 64 << 20
"""Bytes of an answer that nobody wanted to read."""
LIAR = "scan again; if it stays, the target is not to be trusted"


class Session:
    """One agent on the other end of `pipe`. `where` names the live system in messages."""

    def __init__(self, pipe: Pipe, where: str) -> None:
        self._pipe = pipe
        self._where = where

    def greet(self, prompt: bytes = b"", password: str | None = None) -> str | None:
        """Wait for the agent; None when it is there, else everything that was said instead of it.

        `password` is sent when `prompt` is seen, once: asked for it a second time, what was said is given back with the prompt at its end.
        """
        said, asked = b"", False
        while not said.endswith(MAGIC):
            if len(said) > CHATTER:
                raise HostileInput(f"{self._where} talks without end before the agent does", hint="log in with ssh by hand and see")
            more = self._pipe.receive(1024)
            said += more
            if not more or (asked and prompt in said):
                return said.decode(errors="replace")
            if prompt and password is not None and prompt in said:
                said, asked = said.replace(prompt, b""), True
                self._pipe.send(password.encode() + b"\n")
        return None

    @contextmanager
    def ask(self, arguments: Sequence[str], body: Path | None = None) -> Iterator[BinaryIO]:
        """Send a request, with the content of the file `body`; the answer as a stream.

        Raises `Unreachable` when the connection is lost, `StepFailed` when the agent fails, `HostileInput` when it lies.
        """
        size = body.stat().st_size if body else 0
        head = json.dumps({"arguments": list(arguments), "size": size}).encode() + b"\n"
        # From a thread of its own: the agent answers while it still reads, and neither end may wait for the other.
        feeder = threading.Thread(target=self._feed, args=(_content(head, body),), daemon=True)
        feeder.start()
        raw = _Answer(self)
        yield cast(BinaryIO, io.BufferedReader(raw, LARGEST))
        raw.finish()
        feeder.join()

    def _feed(self, parts: Iterable[bytes]) -> None:
        try:
            for part in parts:
                self._pipe.send(part)
        except (OSError, EOFError, ValueError):
            # The reading end sees that the connection is lost, and says so.
            return

    def exactly(self, size: int) -> bytes:
        """So many bytes. Raises `Unreachable` when they do not come, `StepFailed` when the agent died."""
        data = bytearray()
        while len(data) < size:
            more = self._pipe.receive(size - len(data))
            if not more:
                raise self._lost()
            data += more
        return bytes(data)

    def _lost(self) -> Exception:
        status = self._pipe.status()
        if status is None:
            return Unreachable(f"the connection to {self._where} was lost", hint="nothing of the scan was kept; run it again when the host answers")
        return StepFailed(f"the scan agent on {self._where} ended with status {status}", hint="look for its cause in the host's own log (out of memory?), then scan again")

    def failed(self, error: str) -> Exception:
        """What the agent said of itself."""
        return StepFailed(f"the scan agent on {self._where} failed: {error[:500]}", hint="see whether that path can be read there, then scan again")


class _Answer(io.RawIOBase):
    """The pieces of one answer as a stream."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._left = 0
        self._ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._left and not self._ended:
            self._next()
        if self._ended:
            return 0
        data = self._session.exactly(min(len(buffer), self._left))
        self._left -= len(data)
        buffer[: len(data)] = data
        return len(data)

    def _next(self) -> None:
        self._left = self._length()
        if not self._left:
            self._ended = True
            self._check(self._session.exactly(self._length()))

    def _length(self) -> int:
        length: int = LENGTH.unpack(self._session.exactly(LENGTH.size))[0]
        if length > LARGEST:
            raise HostileInput("the scan agent's answer is not in its own format", hint=LIAR)
        return length

    def _check(self, end: bytes) -> None:
        try:
            error = json.loads(end)["error"]
        except (ValueError, TypeError, KeyError) as fault:
            raise HostileInput("the scan agent's answer does not end as it should", hint=LIAR) from fault
        if error:
            raise self._session.failed(str(error))

    def finish(self) -> None:
        """Whatever is left is read and dropped, so that the next answer begins where it should."""
        dropped = 0
        while more := self.read(LARGEST):
            dropped += len(more)
            if dropped > AFTER:
                raise HostileInput("the scan agent's answer does not end", hint=LIAR)


def _content(head: bytes, body: Path | None) -> Iterator[bytes]:
    yield head
    if body:
        with body.open("rb") as source:
            while part := source.read(1 << 16):
                yield part
