"""Which representation a client asks for, and how the request's path is brought into the form that routes have."""

from __future__ import annotations

import re

from starlette.types import ASGIApp, Receive, Scope, Send

JSON, XML = "application/json", "application/xml"


def header(scope: Scope, name: bytes) -> str:
    """The header's value; several are joined by commas (RFC 9110, 5.3)."""
    return ", ".join(value.decode("latin-1") for key, value in scope.get("headers", ()) if key == name)


def wants_xml(scope: Scope) -> bool:
    """Whether `Accept` prefers XML to JSON; who does not say gets JSON."""
    quality = {"xml": 0.0, "json": 0.0}
    for one in header(scope, b"accept").lower().split(","):
        media, _, parameters = one.partition(";")
        for kind in quality:
            if media.strip() in (f"application/{kind}", f"text/{kind}"):
                quality[kind] = max(quality[kind], _quality(parameters))
    return quality["xml"] > quality["json"]


def _quality(parameters: str) -> float:
    found = re.search(r"q\s*=\s*([01](?:\.\d{0,3})?)", parameters)
    return float(found[1]) if found else 1.0


class Tidy:
    """Double and trailing slashes lead where single ones do (PROTOCOL 1.2); `raw_path`, which is what a client signed, stays as it is."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope = {**scope, "path": re.sub("//+", "/", scope["path"]).rstrip("/") or "/"}
        await self._app(scope, receive, send)
