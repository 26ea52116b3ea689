"""Every answer of the service, written down when `FORGELET_JOURNAL` names a folder: what a client asked, and the XML that it got.

One file a process, one JSON object a line: `method`, `path`, `asked` (the keys of the query, without their values, where signatures are),
`status`, `client` (its User-Agent), for UForge's XML the `body`, and for a refusal in JSON that as `refusal`. Request bodies, where passwords
are, are not kept; download secrets in answers are, so the file is its owner's only.
"""

from __future__ import annotations

import json
import os
import re
import threading
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emulator.wire.negotiation import JSON, XML, header

_COMPARED = re.compile(r"(?:^|;)([A-Za-z.]+)==")


def asked(query: bytes) -> list[str]:
    """The keys of a query, sorted; of UForge's `query=name=='web';version=='1'` which fields it compares: `query.name`, `query.version`."""
    found = set()
    for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
        compared = _COMPARED.findall(value) if name == "query" else []
        found |= {f"query.{field}" for field in compared} or {name}
    return sorted(found)


class Answers:
    """Middleware; writes into `folder`, which is made."""

    def __init__(self, app: ASGIApp, folder: Path) -> None:
        self._app = app
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._file = folder / f"{os.getpid()}.ndjson"
        self._lock = threading.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        told: dict[str, Any] = {"method": scope["method"], "path": scope["path"], "asked": asked(scope["query_string"]), "client": header(scope, b"user-agent"), "status": 0}
        body, keep = bytearray(), ""

        async def noted(message: Message) -> None:
            nonlocal keep
            if message["type"] == "http.response.start":
                told["status"] = message["status"]
                media = dict(message["headers"]).get(b"content-type", b"").decode("latin-1")
                keep = "body" if media == XML else "refusal" if media == JSON and message["status"] >= 400 else ""
            elif keep:
                body.extend(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            self._write({**told, keep: body.decode()} if keep else told)

    def _write(self, told: dict[str, Any]) -> None:
        with self._lock, os.fdopen(os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "a") as out:
            out.write(json.dumps(told) + "\n")
