"""How a resource is told to a client: routes give plain data under UForge's names, the request's `Accept` decides on the representation.

The data is a dictionary whose keys are the elements of the root's type; lists have UForge's shape, wrapper, then item, as in
`{"scans": {"scan": [...]}}`. `xsiType` names the concrete type where the declared one is abstract or has derived types
(`{"xsiType": "CredAccountAws", ...}`). Keys of ours that no type has are declared in `emulator/wire/extras.py`: JSON tells them, XML
does not; any other key is a mistake that raises `emulator.wire.writer.Undeclared`. `None` leaves an element out of XML.

JSON with names that are not UTF-8 (lone surrogates) is escaped to ASCII, so that they pass; in XML they are written out as escapes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import orjson
from anyio import to_thread
from fastapi import Response
from starlette.types import Receive, Scope, Send

from emulator.wire.negotiation import JSON, XML, wants_xml
from emulator.wire.shared import Shared
from emulator.wire.state import LASTS

checked = False
"""Whether JSON answers under UForge's names are held against its types too; the tests set it."""


class Answer(Response):
    """The element `root` with the contents `data`, written when it is sent. With `ours` it is no type of UForge, and always JSON; with `lasts`
    it holds until something is written in the tables."""

    def __init__(
        self, root: str, data: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None, *, ours: bool = False, lasts: bool = False
    ) -> None:
        super().__init__(None, status, {**(headers or {}), "X-Forgelet-Element": root, "Vary": "Accept"})
        self.root, self.data, self._ours, self._lasts = root, data, ours, lasts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.body, media = await to_thread.run_sync(self.written, wants_xml(scope))
        scope.setdefault("state", {})[LASTS] = self._lasts
        self.headers["content-type"] = media
        self.headers["content-length"] = str(len(self.body))
        await super().__call__(scope, receive, send)

    def written(self, xml: bool) -> tuple[bytes, str]:
        """The body and its type."""
        if not self._ours and (xml or checked):
            from emulator.wire.writer import encode

            body = encode(self.root, self.data)
            if xml:
                return body, XML
        return dumps(self.data).encode("utf-8"), JSON


def answer(root: str, data: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """The element `root` of UForge with the contents `data`."""
    return Answer(root, data, status, headers)


def lasting(root: str, data: dict[str, Any]) -> Response:
    """The same, when all that `data` tells is in the tables: until something is written there, who asks again gets it again."""
    return Answer(root, data, lasts=True)


def collection(root: str, item: str, members: Sequence[dict[str, Any]], status: int = 200, *, wrapper: str = "", lasts: bool = False) -> Response:
    """A list of UForge's: the wrapper, named as the root where nothing else is said, is there even when it is empty. `lasts` as `lasting`."""
    return Answer(root, {wrapper or root: {item: list(members)}}, status, lasts=lasts)


def ours(root: str, data: dict[str, Any], status: int = 200) -> Response:
    """Something that UForge does not know: JSON, whatever is asked for."""
    return Answer(root, data, status, ours=True)


def our_collection(root: str, item: str, members: list[dict[str, Any]], status: int = 200) -> Response:
    """A list of things that UForge does not know."""
    return ours(root, {root: {item: members}}, status)


def nothing() -> Response:
    """Done, and nothing to say."""
    return Response(status_code=204)


def dumps(data: Any) -> str:
    """JSON without spaces."""
    try:
        return orjson.dumps(data, _dumped, orjson.OPT_PASSTHROUGH_SUBCLASS).decode()
    except TypeError:
        # Lone surrogates, whole numbers beyond 64 bits.
        return json.dumps(data, separators=(",", ":"))


def _dumped(value: Any) -> Any:
    """What is derived from a type that JSON knows."""
    if type(value) is Shared:
        value.json = value.json or orjson.dumps(dict(value), _dumped, orjson.OPT_PASSTHROUGH_SUBCLASS)
        return orjson.Fragment(value.json)
    kind = next((kind for kind in (str, int, dict, list) if isinstance(value, kind)), None)
    if kind is None:
        raise TypeError(f"{type(value).__name__} is nothing that JSON knows")
    return kind(value)
