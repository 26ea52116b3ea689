"""A mirror on 127.0.0.1 that hands on what this machine's own mirrors have, and can go down in the middle."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from support.listening import Silent, listening

from scanner.host.mirrors import ARCHIVE_SETTING, SECURITY_SETTING, debian_mirrors

PIECE = 1 << 18


class Passing:
    """`/archive/…` and `/security/…` are this machine's mirrors; `budget` is how many bytes of packages it still sends before it breaks every connection."""

    budget: float = float("inf")
    origin = ""

    def __init__(self, http: httpx.Client) -> None:
        self.http = http
        mirrors = debian_mirrors()
        self.behind = {"archive": mirrors.archive, "security": mirrors.security or mirrors.archive}

    def settings(self) -> dict[str, str]:
        """What a service has to be told."""
        return {ARCHIVE_SETTING: f"{self.origin}/archive", SECURITY_SETTING: f"{self.origin}/security"}


class _Handler(Silent):
    mirror: Passing
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        which, _, path = self.path.lstrip("/").partition("/")
        asked = {name: value for name in ("If-Modified-Since", "Range", "If-Range") if (value := self.headers[name])}
        with self.mirror.http.stream("GET", f"{self.mirror.behind[which]}/{path}", headers={**asked, "Accept-Encoding": "identity"}) as answer:
            self.send_response(answer.status_code)
            for name in ("Content-Length", "Content-Range", "Last-Modified"):
                if name in answer.headers:
                    self.send_header(name, answer.headers[name])
            self.end_headers()
            for piece in answer.iter_raw(PIECE):
                if path.endswith(".deb"):
                    self.mirror.budget -= len(piece)
                    if self.mirror.budget < 0:
                        self.close_connection = True
                        return
                self.wfile.write(piece)


@contextmanager
def passing() -> Iterator[Passing]:
    """The mirror, up while the block lasts."""
    with httpx.Client(timeout=60, follow_redirects=True) as http:
        made = Passing(http)
        with listening(type("Handler", (_Handler,), {"mirror": made})) as made.origin:
            yield made
