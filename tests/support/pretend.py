"""NOT OpenStack: a stand-in on loopback that answers what the driver asks of Keystone, Glance and Nova, and misbehaves as it is told.

For what a real one does not do on demand: answers that break off, refusals that are counted, servers that stay. The driver meets a real
one in tests/openstack and tests/nova.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from builders.clouds.base import Account

NETWORK = {"id": "net-1", "name": "private", "admin_state_up": True, "status": "ACTIVE"}


@dataclass
class Pretend:
    """One cloud: the user `demo` with the password `right` in the domain named `Sales`, whose id is `d-1`, with the project `demo`."""

    networks: list[dict[str, Any]] = field(default_factory=lambda: [NETWORK])
    services: tuple[str, ...] = ("image", "compute", "network")
    domains: dict[str, str] = field(default_factory=lambda: {"default": "Default", "d-1": "Sales"})
    hash: str = "sha512"
    """What Glance makes of images; empty: it tells none."""
    faults: dict[str, Callable[[Handler], bool]] = field(default_factory=dict)
    """`METHOD path` (a regular expression) -> called before the answer; whether that was all that is to be answered."""
    images: dict[str, dict[str, Any]] = field(default_factory=dict)
    contents: dict[str, bytes] = field(default_factory=dict)
    servers: dict[str, dict[str, Any]] = field(default_factory=dict)
    pairs: dict[str, str] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._server = _Server(("127.0.0.1", 0), type("Bound", (Handler,), {"cloud": self}))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def opened(self, password: str = "right", patience: float | None = None, **fields: Any) -> Account:
        """The account that opens it; a field that is None is left out."""
        own = {"keystoneUrl": f"{self.url}/v3", "glanceUrl": self.url, "keystoneVersion": "v3", "login": "demo", "keystoneDomain": "Sales", **fields}
        return Account("cloud", "cloud", {key: value for key, value in own.items() if value is not None}, {"password": password, "applicationCredentialSecret": "s"}, patience)

    def once(self, what: str, fault: Callable[[Handler], bool]) -> None:
        """The next time only."""
        self.times(1, what, fault)

    def times(self, count: int, what: str, fault: Callable[[Handler], bool]) -> None:
        left = [count]

        def some(handler: Handler) -> bool:
            left[0] -= 1
            return left[0] >= 0 and fault(handler)

        self.faults[what] = some


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Clients go away in the middle: that is what they are tested for."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    cloud: Pretend

    def log_message(self, *_: object) -> None:
        pass

    def tell(self, status: int, told: Any = None, **headers: str) -> bool:
        """Answer JSON, or HTML when it is text."""
        html = isinstance(told, str)
        body = told.encode() if html else b"" if told is None else json.dumps(told).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Type", "text/html" if html else "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        return True

    def nothing(self) -> None:
        self.tell(404, "<html><title>404 Not Found</title></html>")

    def hang_up(self) -> bool:
        self.close_connection = True
        self.connection.shutdown(2)
        return True

    def _any(self) -> None:
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0)) if "chunked" not in self.headers.get("Transfer-Encoding", "") else b""
        split = urlsplit(self.path)
        self.place, self.query = split.path.rstrip("/"), {key: value[0] for key, value in parse_qs(split.query).items()}
        what = f"{self.command} {self.place}"
        self.cloud.asked[what] += 1
        found, answer = next(((found, answer) for pattern, answer in ROUTES if (found := re.fullmatch(pattern, what))), (None, Handler.nothing))
        self.id = (found.groupdict() if found else {}).get("id", "")
        if not any(re.fullmatch(pattern, what) and fault(self) for pattern, fault in self.cloud.faults.items()):
            answer(self)

    do_GET = do_POST = do_PUT = do_DELETE = _any

    # Keystone

    def keystone(self) -> None:
        self.tell(200, {"version": {"id": "v3.14", "status": "stable", "links": [{"rel": "self", "href": f"{self.cloud.url}/v3/"}]}})

    def log_in(self) -> None:
        identity = json.loads(self.body)["auth"]["identity"]
        if "password" in identity:
            user = identity["password"]["user"]
            domain = user.get("domain", {})
            known = domain.get("id") == "d-1" or domain.get("name") == self.cloud.domains["d-1"]
            if not known or user["password"] != "right":
                self.tell(401, {"error": {"code": 401, "message": "The request you have made requires authentication."}})
                return
        catalogue = [
            {"type": kind, "id": kind, "name": kind, "endpoints": [{"id": kind, "interface": "public", "region": "RegionOne", "region_id": "RegionOne", "url": f"{self.cloud.url}{path}"}]}
            for kind, path in (("image", ""), ("compute", "/compute/v2.1"), ("network", "/network"))
            if kind in self.cloud.services
        ]
        own = {"id": "d-1", "name": self.cloud.domains["d-1"]}
        times = {"expires_at": "2099-01-01T00:00:00.000000Z", "issued_at": "2020-01-01T00:00:00.000000Z"}
        token = {"methods": ["password"], "user": {"id": "u", "name": "demo", "domain": own}, "project": {"id": "p-1", "name": "demo", "domain": own}, "roles": [{"id": "r", "name": "member"}], "catalog": catalogue, **times}
        self.tell(201, {"token": token}, X_Subject_Token="token")

    def projects(self) -> None:
        self.tell(200, {"projects": [{"id": "p-1", "name": "demo"}]})

    # Glance

    def list_images(self) -> None:
        wanted = {key: value for key, value in self.query.items() if key not in ("limit", "marker")}
        self.tell(200, {"images": [one for one in self.cloud.images.values() if all(one.get(key) == value for key, value in wanted.items())]})

    def make_image(self) -> None:
        asked = json.loads(self.body)
        if asked["visibility"] == "public":
            self.tell(403, "<html>You are not authorized to complete publicize_image action.</html>")
            return
        self.cloud.images[asked["id"]] = {**asked, "status": "queued", "size": None, "owner": "p-1", "os_hash_algo": None, "os_hash_value": None, "checksum": None}
        self.tell(201, self.cloud.images[asked["id"]])

    def show_image(self) -> None:
        image = self.cloud.images.get(self.id)
        self.tell(404, "<html>Failed to find image</html>") if image is None else self.tell(200, image)

    def take_contents(self) -> None:
        if self.id not in self.cloud.images:
            self.tell(404, "<html>Failed to find image</html>")
            return
        self.cloud.contents[self.id] = self.body
        hashes = {"os_hash_algo": self.cloud.hash, "os_hash_value": hashlib.new(self.cloud.hash, self.body).hexdigest(), "checksum": hashlib.md5(self.body).hexdigest()} if self.cloud.hash else {}
        self.cloud.images[self.id] |= {"status": "active", "size": len(self.body), **hashes}
        self.tell(204)

    def give_contents(self) -> None:
        content, start = self.cloud.contents[self.id], int((self.headers.get("Range") or "bytes=0-")[6:-1])
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self.wfile.write(content[start:])

    def drop_image(self) -> None:
        self.tell(204 if self.cloud.images.pop(self.id, None) else 404)

    # Nova and Neutron

    def nova(self) -> None:
        self.tell(200, {"version": {"id": "v2.1", "status": "CURRENT", "version": "2.100", "min_version": "2.1", "links": [{"rel": "self", "href": f"{self.cloud.url}/compute/v2.1/"}]}})

    def flavors(self) -> None:
        self.tell(200, {"flavors": [{"id": "1", "name": "small", "vcpus": 1, "ram": 512, "disk": 5}]})

    def list_pairs(self) -> None:
        self.tell(200, {"keypairs": [{"keypair": {"name": name}} for name in self.cloud.pairs]})

    def neutron(self) -> None:
        self.tell(200, {"versions": [{"id": "v2.0", "status": "CURRENT", "links": [{"rel": "self", "href": f"{self.cloud.url}/network/v2.0/"}]}]})

    def list_networks(self) -> None:
        self.tell(200, {"networks": self.cloud.networks})

    def make_server(self) -> None:
        self.make()
        self.tell(202, {"server": {"id": list(self.cloud.servers)[-1], "links": []}})

    def make(self) -> None:
        """The server that is asked for."""
        asked = json.loads(self.body)["server"]
        number = f"server-{len(self.cloud.servers) + 1}"
        self.cloud.servers[number] = {**asked, "id": number, "status": "ACTIVE", "addresses": {}, "flavor": {"original_name": "small"}, "asked": asked}

    def list_servers(self) -> None:
        self.tell(200, {"servers": list(self.cloud.servers.values())})

    def show_server(self) -> None:
        server = self.cloud.servers.get(self.id)
        self.tell(200, {"server": server}) if server else self.tell(404, {"itemNotFound": {"message": "Instance could not be found."}})

    def drop_server(self) -> None:
        self.tell(204 if self.cloud.servers.pop(self.id, None) else 404)

    def make_pair(self) -> None:
        asked = json.loads(self.body)["keypair"]
        self.cloud.pairs[asked["name"]] = asked["public_key"]
        self.tell(201, {"keypair": asked})

    def drop_pair(self) -> None:
        self.tell(202 if self.cloud.pairs.pop(self.id, None) else 404)


NOVA = "/compute/v2.1"
ROUTES: list[tuple[str, Callable[[Handler], None]]] = [
    ("GET /v3", Handler.keystone),
    ("POST /v3/auth/tokens", Handler.log_in),
    ("GET /v3/auth/projects", Handler.projects),
    ("GET /v2/images", Handler.list_images),
    ("POST /v2/images", Handler.make_image),
    ("GET /v2/images/(?P<id>[^/]+)", Handler.show_image),
    ("DELETE /v2/images/(?P<id>[^/]+)", Handler.drop_image),
    ("PUT /v2/images/(?P<id>[^/]+)/file", Handler.take_contents),
    ("GET /v2/images/(?P<id>[^/]+)/file", Handler.give_contents),
    (f"GET {NOVA}", Handler.nova),
    (f"GET {NOVA}/flavors/detail", Handler.flavors),
    (f"GET {NOVA}/os-keypairs", Handler.list_pairs),
    (f"POST {NOVA}/os-keypairs", Handler.make_pair),
    (f"DELETE {NOVA}/os-keypairs/(?P<id>[^/]+)", Handler.drop_pair),
    (f"POST {NOVA}/servers", Handler.make_server),
    (f"GET {NOVA}/servers/detail", Handler.list_servers),
    (f"GET {NOVA}/servers/(?P<id>[^/]+)", Handler.show_server),
    (f"DELETE {NOVA}/servers/(?P<id>[^/]+)", Handler.drop_server),
    ("GET /network", Handler.neutron),
    ("GET /network/v2.0/networks", Handler.list_networks),
]


def cut(count: int) -> Callable[[Handler], bool]:
    """So many bytes of an image's contents, then nothing more."""

    def some(handler: Handler) -> bool:
        content = handler.cloud.contents[handler.id]
        start = int((handler.headers.get("Range") or "bytes=0-")[6:-1])
        handler.send_response(206 if start else 200)
        handler.send_header("Content-Length", str(len(content) - start))
        handler.end_headers()
        handler.wfile.write(content[start : start + count])
        handler.wfile.flush()
        return handler.hang_up()

    return some


def slow(seconds: float) -> Callable[[Handler], bool]:
    def wait(_: Handler) -> bool:
        time.sleep(seconds)
        return False

    return wait
