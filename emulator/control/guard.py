"""Who may reach the control plane: this machine, and whoever has the token when one is set."""

from __future__ import annotations

import hmac
import re
from ipaddress import IPv6Address, ip_address

from fastapi import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from emulator.wire.negotiation import header

TOKEN = b"x-forgelet-token"
_OURS = re.compile(r"/+_forgelet(/|$)")


class Guard:
    """Refuses requests for `/_forgelet` that come from elsewhere without the token; without a token, all of them."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app, self._token = app, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _OURS.match(scope["path"]) or local(scope.get("client")) or self._knows(scope):
            await self._app(scope, receive, send)
            return
        from emulator.errors import Forbidden
        from emulator.wire.faults import tell

        hint = "send it as X-Forgelet-Token, or set FORGELET_TOKEN for forgelet" if self._token else "set FORGELET_TOKEN for the service, and for who asks"
        error = Forbidden("the control plane is for this machine only, or for whoever has the service's token", hint=hint)
        await tell(Request(scope, receive), error)(scope, receive, send)

    def _knows(self, scope: Scope) -> bool:
        return bool(self._token) and hmac.compare_digest(header(scope, TOKEN).encode("latin-1"), self._token.encode())


def local(client: tuple[str, int] | None) -> bool:
    """Whether a client is on this machine; one without an address (a socket file) is."""
    try:
        found = ip_address((client or ("", 0))[0])
    except ValueError:
        return True
    return (found.ipv4_mapped or found).is_loopback if isinstance(found, IPv6Address) else found.is_loopback
