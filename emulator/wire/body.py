"""Bodies as dependencies of routes: `asked: Annotated[dict[str, Any], Depends(body("image"))]`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from anyio import to_thread
from fastapi import Request

from emulator.control.journal.watched import Watched
from emulator.errors import TooLarge
from emulator.wire.reader import LARGEST, decode
from emulator.wire.state import SENT


def body(root: str) -> Callable[[Request], Awaitable[dict[str, Any]]]:
    """Plain data of the element `root`, from XML or JSON (`emulator.wire.reader.decode`). Raises `UserError`, `TooLarge`."""

    async def dependency(request: Request) -> dict[str, Any]:
        raw = bytearray()
        async for piece in request.stream():
            raw += piece
            if len(raw) > LARGEST:
                raise TooLarge(f"the body has more than {LARGEST} bytes")
        sent = Watched(await to_thread.run_sync(decode, bytes(raw), root))
        request.scope.setdefault("state", {})[SENT] = sent
        return sent

    return dependency
