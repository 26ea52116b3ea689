"""Answers that hold until something is written: who polls gets the last one again, and nothing is asked of the tables.

Only those of which their handler says so (`emulator.wire.answer.lasting`): all they tell is in the tables.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emulator.wire.negotiation import header
from emulator.wire.state import ASKING, LASTS

MOST = 16 << 20
"""Bytes of answers that are kept."""
EACH = 4 << 10
"""Bytes that one takes besides its body."""
Kept = tuple[int, str, list[Message]]
"""The database's version, who asked, what was sent."""


class Lasting:
    """`version` is another number whenever something was written."""

    def __init__(self, app: ASGIApp, version: Callable[[], int]) -> None:
        self._app, self._version = app, version
        self._kept: dict[bytes, Kept] = {}
        self._size = 0
        self._key = secrets.token_bytes(32)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        # Before the tables are read: what is written meanwhile makes what was read old.
        key, version = self._named(scope), self._version()
        known = self._kept.get(key)
        if known is not None and known[0] == version:
            state[ASKING] = known[1]
            for message in known[2]:
                await send(message)
            return
        sent: list[Message] = []

        async def say(message: Message) -> None:
            if state.get(LASTS):
                sent.append(message)
            await send(message)

        await self._app(scope, receive, say)
        if sent and sent[0].get("status") == 200 and not sent[-1].get("more_body"):
            self._keep(key, (version, state.get(ASKING, ""), sent))

    def _keep(self, key: bytes, answer: Kept) -> None:
        old = self._kept.pop(key, None)
        self._size += _size(answer) - (_size(old) if old else 0)
        if self._size > MOST:
            self._kept.clear()
            self._size = _size(answer)
        self._kept[key] = answer

    def _named(self, scope: Scope) -> bytes:
        # The header holds a password, which no memory of ours keeps.
        words = (scope["path"], scope["query_string"].decode("latin-1"), header(scope, b"authorization"), header(scope, b"accept"))
        return hashlib.blake2b("\0".join(words).encode("utf-8", "surrogatepass"), key=self._key).digest()


def _size(answer: Kept) -> int:
    return EACH + sum(len(message.get("body", b"")) for message in answer[2])
