"""The middleware that writes every request into the journal: what was asked, what was answered, what nobody read.

Not health, which is polled, nor the journal's own routes. Bodies are kept when they are text, of `LARGEST` bytes at most, and can be read: then
it shows what of them is secret.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emulator.control.journal.book import Book, Entry
from emulator.wire.negotiation import header
from emulator.wire.state import ASKING, SENT

if TYPE_CHECKING:
    from emulator.control.operations import Operations

LARGEST = 1 << 16
LEFT_OUT = re.compile(r"/+_forgelet/+(health|journal)\b")
_TEXT = re.compile(r"application/(json|xml|x-yaml|yaml|x-www-form-urlencoded)|text/(?!event-stream)")
_KEPT = (b"accept", b"content-type", b"user-agent", b"x-forgelet-token")


class Body:
    """What passed in one direction."""

    def __init__(self) -> None:
        self.media, self.size, self.kept = "", 0, bytearray()

    def take(self, piece: bytes) -> None:
        self.size += len(piece)
        if len(self.kept) < LARGEST and (not self.media or _TEXT.match(self.media)):
            self.kept += piece[: LARGEST - len(self.kept)]

    def told(self) -> tuple[dict[str, Any], list[str]]:
        """As it is kept, and the names of the secrets that were taken out."""
        from emulator.control.journal import redact

        told: dict[str, Any] = {"contentType": self.media, "size": self.size}
        if self.size > len(self.kept):
            # What the begin of a document says is secret may stand in its rest.
            return {**told, **_omitted(f"it is longer than {LARGEST} bytes")} if self.kept else told, []
        try:
            kept = redact.body(self.kept.decode("utf-8"), self.media)
        except UnicodeDecodeError:
            return told, []
        return {**told, **(_omitted(kept.omitted) if kept.omitted else {"body": kept.text, "whole": True})}, kept.gone


def _omitted(why: str) -> dict[str, Any]:
    return {"body": "", "whole": False, "omitted": why}


class Recorder:
    """Costs a request some microseconds: all that takes time is done by the journal's own thread."""

    def __init__(self, app: ASGIApp, book: Book, operations: Callable[[], Operations], stamp: Callable[[], str]) -> None:
        self._app, self._book, self._operations, self._stamp = app, book, operations, stamp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or LEFT_OUT.match(scope["path"]):
            await self._app(scope, receive, send)
            return
        asked, answered, status = Body(), Body(), 0
        asked.media = header(scope, b"content-type")
        state = scope.setdefault("state", {})
        began, moment = time.perf_counter(), self._stamp()

        async def hear() -> Message:
            message = await receive()
            if message["type"] == "http.request":
                asked.take(message.get("body", b""))
            return message

        async def say(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                answered.media = dict(message["headers"]).get(b"content-type", b"").decode("latin-1")
            else:
                answered.take(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, hear, say)
        finally:
            took = round((time.perf_counter() - began) * 1000, 2)
            self._book.put(lambda: self._entry(moment, took, scope, state, status, asked, answered))

    def _entry(self, moment: str, took: float, scope: Scope, state: dict[str, Any], status: int, asked: Body, answered: Body) -> Entry:
        from emulator.control.journal import redact

        operation = self._operations().match(scope["method"], scope["path"])
        query = scope["query_string"].decode("latin-1")
        request, gone = asked.told()
        headers = {name.decode(): header(scope, name) for name in _KEPT if header(scope, name)}
        if "x-forgelet-token" in headers:
            headers["x-forgelet-token"] = redact.GONE
        if found := header(scope, b"authorization"):
            headers["authorization"] = redact.authorization(found)
        watched = state.get(SENT)
        unread = [f"?{name}" for name in _names(query) if operation and name not in operation.queries | _SIGNED]
        return {
            "time": moment,
            "kind": "request",
            "user": state.get(ASKING, ""),
            "method": scope["method"],
            "path": redact.path(scope["path"]),
            "query": redact.query(query),
            "operation": operation.text if operation else "",
            "status": status,
            "phrase": HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else "",
            "milliseconds": took,
            "headers": headers,
            "request": request,
            "redacted": gone,
            "response": answered.told()[0],
            "unread": unread + (watched.unread() if watched is not None and status < 400 else []),
        }


_SIGNED = frozenset({"apiKey", "signature"})


def _names(query: str) -> list[str]:
    from urllib.parse import parse_qsl

    return list(dict.fromkeys(name for name, _ in parse_qsl(query, keep_blank_values=True)))
