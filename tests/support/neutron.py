"""NOT Neutron: a stand-in that has no network, no port and no group. It answers what Nova asks for a server that wants none.

So ports, floating addresses, security groups and the HTTP metadata service stay untested. Run as a program: `neutron.py PORT`.
"""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Empty(BaseHTTPRequestHandler):
    """Every collection is empty."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        place = self.path.partition("?")[0].rstrip("/")
        name = place.rpartition("/")[2].removesuffix(".json").replace("-", "_")
        links = [{"rel": "self", "href": f"http://{self.headers['Host']}/v2.0/"}]
        told = {"versions": [{"id": "v2.0", "status": "CURRENT", "links": links}]} if place in ("", "/v2.0") else {name: []}
        body = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        print(format % args, flush=True)


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Empty).serve_forever()
