"""A mirror on 127.0.0.1 that hands on what this machine's own mirrors have, and can go down in the middle."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from scanner.host.mirrors import ARCHIVE_SETTING, SECURITY_SETTING, debian_mirrors

PIECE = 1 << 18


class Passing(http.server.ThreadingHTTPServer):
    """`/archive/…` and `/security/…` are this machine's mirrors; `budget` is how many bytes of packages it still sends before it breaks every connection."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.budget: float = float("inf")
        mirrors = debian_mirrors()
        self.behind = {"archive": mirrors.archive, "security": mirrors.security or mirrors.archive}
        self.http = httpx.Client(timeout=60, follow_redirects=True)

    def settings(self) -> dict[str, str]:
        """What a service has to be told."""
        origin = f"http://127.0.0.1:{self.server_address[1]}"
        return {ARCHIVE_SETTING: f"{origin}/archive", SECURITY_SETTING: f"{origin}/security"}


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Passing
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        which, _, path = self.path.lstrip("/").partition("/")
        asked = {name: value for name in ("If-Modified-Since", "Range", "If-Range") if (value := self.headers[name])}
        with self.server.http.stream("GET", f"{self.server.behind[which]}/{path}", headers={**asked, "Accept-Encoding": "identity"}) as answer:
            self.send_response(answer.status_code)
            for name in ("Content-Length", "Content-Range", "Last-Modified"):
                if name in answer.headers:
                    self.send_header(name, answer.headers[name])
            self.end_headers()
            for piece in answer.iter_raw(PIECE):
                if path.endswith(".deb"):
                    self.server.budget -= len(piece)
                    if self.server.budget < 0:
                        self.close_connection = True
                        return
                self.wfile.write(piece)

    def log_message(self, *about: Any) -> None:
        pass


@contextmanager
def passing() -> Iterator[Passing]:
    """The mirror, up while the block lasts."""
    server = Passing()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        server.http.close()
