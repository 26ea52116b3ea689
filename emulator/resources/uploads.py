"""Archives that clients send: the body as it is, whatever its label says."""

from __future__ import annotations

from pathlib import Path

from anyio import open_file
from fastapi import Request

from emulator.errors import TooLarge

LARGEST = 64 << 30
"""Bytes; what an archive unpacks to has no more."""


async def save(request: Request, place: Path, most: float = LARGEST) -> int:
    """Write the body to `place`; it is there only when it is whole. Answers how many bytes were sent: more than `most` are not written, but
    read, so that the client gets to hear of it. Raises `TooLarge`."""
    partial = place.with_name(f"{place.name}.{id(request)}")
    sent = 0
    try:
        async with await open_file(partial, "wb") as out:
            async for piece in request.stream():
                sent += len(piece)
                if sent > LARGEST:
                    raise TooLarge(f"an archive has at most {LARGEST} bytes")
                if sent <= most:
                    await out.write(piece)
        if sent <= most:
            partial.rename(place)
    finally:
        partial.unlink(missing_ok=True)
    return sent
