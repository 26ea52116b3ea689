"""A live system whose agent was started by somebody else (hammr) and reports by itself, over HTTP: `agent:HOST`."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from scanner.errors import HostileInput, StepFailed, Unreachable
from scanner.host import clock
from scanner.targets import memory
from scanner.targets.agent import Place, words
from scanner.targets.exchange import Exchange

PREFIX = "agent:"
PIECE = 1 << 18
PAUSE = 0.05
SILENCE = 120.0
"""Seconds without a sign of life after which an agent is given up."""


class PostedTarget:
    """What the agent sends arrives in the folder of `exchange`; what it is asked for is written there."""

    def __init__(self, label: str, exchange: Exchange, log: Callable[[str], None] = lambda line: None, *, silence: float = SILENCE) -> None:
        self._label = label
        self._exchange = exchange
        self._log = log
        self._silence = silence
        self._orders = 0

    @property
    def label(self) -> str:
        return self._label

    def facts(self) -> None:
        """No engine knows more."""

    @contextmanager
    def inventory(self, excludes: Sequence[str], known: Path | None = None) -> Iterator[BinaryIO]:
        with memory.packed(known) as lines, self._ask(words(Place("/"), excludes, lines and "-"), lines) as stream:
            yield stream

    def capture(self, paths: Path) -> AbstractContextManager[BinaryIO]:
        return self._ask(["capture", "--root", "/", "--paths", "-"], paths)

    @contextmanager
    def _ask(self, arguments: Sequence[str], body: Path | None = None) -> Iterator[BinaryIO]:
        self._orders += 1
        self._exchange.order(self._orders, arguments, body)
        self._log(f"order {self._orders} for {self._label}: {arguments[0]}")
        raw = _Answer(self._exchange, self._orders, self._label, self._silence)
        yield cast(BinaryIO, io.BufferedReader(raw, PIECE))
        raw.finish()


class _Answer(io.RawIOBase):
    """The parts of one answer, one after the other, unpacked."""

    def __init__(self, exchange: Exchange, number: int, label: str, silence: float) -> None:
        self._exchange, self._number, self._label, self._silence = exchange, number, label, silence
        self._part = 0
        self._packed = b""
        self._unpack: Any = None
        self._ended = False
        self._heard = (exchange.heard(), clock.elapsed())

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ended:
            data = self._more(len(buffer))
            if data:
                buffer[: len(data)] = data
                return len(data)
        return 0

    def finish(self) -> None:
        """Nobody reads what is left, but how it ended counts."""
        while self.read(PIECE):
            pass

    def _more(self, size: int) -> bytes:
        """Up to `size` bytes: a part that unpacks to very much is unpacked by and by. Empty before the next part."""
        if self._unpack is None:
            self._next()
            return b""
        try:
            data: bytes = self._unpack.decompress(self._packed, size)
        except zlib.error as error:
            raise HostileInput(f"part {self._part} of the answer of {self._label} is no zlib stream", hint="scan again") from error
        self._packed = self._unpack.unconsumed_tail
        if self._unpack.eof:
            self._unpack, self._part = None, self._part + 1
        elif not data:
            raise HostileInput(f"part {self._part} of the answer of {self._label} stops in the middle", hint="scan again")
        return data

    def _next(self) -> None:
        # Asked in this order: what was there before the end is there now.
        end = self._exchange.ended(self._number)
        found = self._exchange.take(self._number, self._part)
        if found is not None:
            self._packed, self._unpack = found, zlib.decompressobj()
        elif end is None:
            self._listen()
        elif end.parts == self._part:
            self._ended = True
            if end.error:
                raise StepFailed(f"the agent on {self._label.removeprefix(PREFIX)} failed: {end.error}", hint="run hammr scan run again")
        else:
            # Parts come in order and are whole before the end is: a missing one was never sent.
            raise HostileInput(f"the answer of {self._label} lacks part {self._part} of {end.parts}", hint="scan again")

    def _listen(self) -> None:
        heard, since = self._heard
        now = self._exchange.heard()
        if now != heard:
            self._heard = (now, clock.elapsed())
        elif clock.elapsed() - since > self._silence:
            name = self._label.removeprefix(PREFIX)
            raise Unreachable(f"the agent on {name} has not been heard for {self._silence:g} seconds", hint="see that the machine is up, then run hammr scan run again")
        clock.sleep(PAUSE)
