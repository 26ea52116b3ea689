"""Archives that clients send: the body as it is, whatever its label says."""

from __future__ import annotations

from pathlib import Path

from anyio import open_file
from fastapi import Request


async def save(request: Request, place: Path) -> None:
    """Write the body to `place`; it is there only when it is whole."""
    partial = place.with_name(f"{place.name}.{id(request)}")
    try:
        async with await open_file(partial, "wb") as out:
            async for piece in request.stream():
                await out.write(piece)
        partial.rename(place)
    finally:
        partial.unlink(missing_ok=True)
