"""Faults at operations: the middleware that meets them before anything else sees the request."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from anyio import to_thread
from fastapi import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from emulator.storage.engine import Database

if TYPE_CHECKING:
    from emulator.control.operations import Operations
    from emulator.control.tables import Fault

TRANSPORT = "forgelet.transport"
"""ASGI extension: the connection, which a fault may break (`emulator/serve.py`)."""


class Interferences:
    """Which operations have faults: read from the database when it is first asked, and again when `changed` was said."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.known: dict[str, list[int]] | None = None

    def changed(self) -> None:
        """Faults were set or taken away."""
        self.known = None

    def learn(self) -> dict[str, list[int]]:
        """Operation -> numbers of the faults set at it."""
        from emulator.control import faults

        found: dict[str, list[int]] = {}
        for one in faults.asked(self._database):
            for operation in one.operation.split("; "):
                if operation and one.id is not None:
                    found.setdefault(operation, []).append(one.id)
        self.known = found
        return found


class Interference:
    """Costs a request one look at an empty table while no fault is set at any operation."""

    def __init__(self, app: ASGIApp, known: Interferences, database: Database, operations: Callable[[], Operations]) -> None:
        self._app, self._known, self._database, self._operations = app, known, database, operations

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] == "/_forgelet/health":
            await self._app(scope, receive, send)
            return
        numbers = self._known.known
        if numbers is None:
            numbers = await to_thread.run_sync(self._known.learn)
        fault = await self._met(scope, numbers) if numbers else None
        if fault is None:
            await self._app(scope, receive, send)
        else:
            await self._meet(fault, scope, receive, send)

    async def _met(self, scope: Scope, numbers: dict[str, list[int]]) -> Fault | None:
        operation = self._operations().match(scope["method"], scope["path"])
        if operation is None or operation.text not in numbers:
            return None
        from emulator.control import faults

        return await to_thread.run_sync(faults.take, self._database, numbers[operation.text])

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
