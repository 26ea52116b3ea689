"""Files on their way out, whole or in ranges, as RFC 9110 has it (sections 14.1 and 14.2), with their hash where it is known (RFC 9530)."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any

from fastapi.responses import FileResponse
from starlette.background import BackgroundTask
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from emulator.errors import NotSatisfiable

ALGORITHMS = {"sha256": "sha-256", "sha512": "sha-512"}
_RANGE = re.compile(r"(\d{0,18})-(\d{0,18})")


class Download(FileResponse):
    """A file. A range of another unit, or one that is none, is ignored; one that the file does not have is refused, by `NotSatisfiable`."""

    def __init__(self, path: Path, **told: Any) -> None:
        super().__init__(path, stat_result=path.stat(), **told)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await super().__call__({**scope, "headers": self._asked(scope)}, receive, send)

    def _asked(self, scope: Scope) -> list[tuple[bytes, bytes]]:
        """The request's headers with the ranges that the file has, if any were asked for of this very file."""
        headers = Headers(scope=scope)
        asked = headers.get("range")
        others = [(name, value) for name, value in scope["headers"] if name != b"range"]
        if asked is None or headers.get("if-range", self.headers["etag"]) not in (self.headers["etag"], self.headers["last-modified"]):
            return others
        size = int(self.headers["content-length"])
        told = ranges(asked)
        have = [one for one in told if _satisfiable(one, size)]
        if told and not have:
            raise NotSatisfiable(size)
        return [*others, (b"range", f"bytes={','.join(have)}".encode("ascii"))] if have else others


def hashed(path: Path, name: str, algorithm: str, digest: str, background: BackgroundTask | None = None) -> Download:
    """The file as an attachment. Its hash (`digest`, hexadecimal; empty when it is not known) is its tag, which `If-Range` is held against, and is
    told as `Repr-Digest`: so a client continues what broke off, and can tell whether it has what we have."""
    told = base64.b64encode(bytes.fromhex(digest)).decode()
    headers = {"ETag": f'"{digest}"', "Repr-Digest": f"{ALGORITHMS[algorithm]}=:{told}:"} if digest else {}
    return Download(path, media_type="application/octet-stream", filename=name, headers=headers, background=background)


def ranges(asked: str) -> list[str]:
    """The ranges of bytes in a `Range` header; none when a single one of them is wrong."""
    unit, _, rest = asked.partition("=")
    told = [one for part in rest.split(",") if (one := part.strip())]
    return told if unit.strip().lower() == "bytes" and all(_valid(one) for one in told) else []


def _valid(one: str) -> bool:
    match = _RANGE.fullmatch(one)
    return match is not None and one != "-" and not (match[1] and match[2] and int(match[2]) < int(match[1]))


def _satisfiable(one: str, size: int) -> bool:
    first, _, last = one.partition("-")
    return int(first) < size if first else int(last) > 0 and size > 0
