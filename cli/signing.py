"""UForge's API keys, as the client shows them."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Generator
from urllib.parse import quote

import httpx


class Signed(httpx.Auth):
    """UForge's API keys: the public one and a signature of the target go into the query, last (PROTOCOL 1.3). `base` is the API's path."""

    def __init__(self, public: str, secret: str, base: str) -> None:
        self._public, self._secret, self._base = public, secret.encode(), base.rstrip("/").encode()

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        target = request.url.raw_path
        target += (b"&" if b"?" in target else b"?") + b"apiKey=" + quote(self._public, safe="").encode()
        signed = target.removeprefix(self._base).lstrip(b"/")
        signature = quote(base64.b64encode(hmac.digest(self._secret, signed, "sha1")), safe="")
        request.url = request.url.copy_with(raw_path=target + b"&signature=" + signature.encode())
        yield request
