"""Faults at operations: the middleware that meets them before anything else sees the request."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from anyio import to_thread
from fastapi import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from emulator.storage.engine import Database
from scanner.errors import ForgeletError

if TYPE_CHECKING:
    from emulator.control.operations import Operations
    from emulator.control.tables import Fault
    from emulator.resources.users.tables import User

TRANSPORT = "forgelet.transport"
"""ASGI extension: the connection, which a fault may break (`emulator/serve.py`)."""


class Set(NamedTuple):
    """A fault at an operation: its number, and to whom it happens; None: to everybody."""

    number: int
    user_id: int | None


class Interferences:
    """Which operations have faults: read from the database when it is first asked, and again when `changed` was said."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.known: dict[str, list[Set]] | None = None

    def changed(self) -> None:
        """Faults were set or taken away."""
        self.known = None

    def learn(self) -> dict[str, list[Set]]:
        """Operation -> the faults set at it."""
        from emulator.control import faults

        found: dict[str, list[Set]] = {}
        for one in faults.asked(self._database):
            for operation in one.operation.split("; "):
                if operation and one.id is not None:
                    found.setdefault(operation, []).append(Set(one.id, one.user_id))
        self.known = found
        return found


class Interference:
    """Costs a request one look at an empty table while no fault is set at any operation."""

    def __init__(self, app: ASGIApp, known: Interferences, database: Database, operations: Callable[[], Operations], asking: Callable[[Scope], User]) -> None:
        """`asking` tells who a request is from. Raises `ForgeletError` for nobody that is known."""
        self._app, self._known, self._database, self._operations, self._asking = app, known, database, operations, asking

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] == "/_forgelet/health":
            await self._app(scope, receive, send)
            return
        known = self._known.known
        if known is None:
            known = await to_thread.run_sync(self._known.learn)
        fault = await self._met(scope, known) if known else None
        if fault is None:
            await self._app(scope, receive, send)
        else:
            await self._meet(fault, scope, receive, send)

    async def _met(self, scope: Scope, known: dict[str, list[Set]]) -> Fault | None:
        operation = self._operations().match(scope["method"], scope["path"])
        if operation is None or operation.text not in known:
            return None
        return await to_thread.run_sync(self._take, scope, known[operation.text])

    def _take(self, scope: Scope, here: list[Set]) -> Fault | None:
        from emulator.control import faults

        # Who asks is looked up only where it matters: most faults are everybody's.
        who = self._who(scope) if any(one.user_id is not None for one in here) else None
        return faults.take(self._database, [one.number for one in here if one.user_id in (None, who)])

    def _who(self, scope: Scope) -> int | None:
        try:
            return self._asking(scope).id
        except ForgeletError:
            return None

    async def _meet(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(fault.delay)
        if fault.action == "slow":
            await self._app(scope, receive, send)
        elif fault.action == "fail":
            await _refuse(fault, scope, receive, send)
        elif fault.action == "hang":
            while (await receive())["type"] != "http.disconnect":
                pass
        else:
            await _break(scope, send)


async def _refuse(fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
    from emulator.control.faults import HINT
    from emulator.errors import FaultSet
    from emulator.wire.faults import tell

    error = FaultSet(fault.message or f"a fault was set at {fault.operation}", hint=HINT)
    await tell(Request(scope, receive), error, fault.status)(scope, receive, send)


async def _break(scope: Scope, send: Send) -> None:
    """The connection ends without an answer; where it is out of reach, in the middle of one."""
    transport = scope.get("extensions", {}).get(TRANSPORT)
    if transport is None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1")]})
        return
    transport.abort()
    # The server must have heard of it before it looks for the answer.
    await asyncio.sleep(0.01)
