"""The agent as hammr starts it: its command line, its way to the service, and what it never tells anybody."""

from __future__ import annotations

import hashlib
import hmac
import http.server
import json
import os
import subprocess
import threading
import zlib
from base64 import b64decode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from scanner.agent import gateway, hammr, posting, uplink
from scanner.bundle import bundle

KEY = "5a" * 32


def proof(nonce: str, key: str = KEY) -> str:
    return hmac.new(bytes.fromhex(key), f"service {nonce}".encode(), hashlib.sha256).hexdigest()


class Server(http.server.ThreadingHTTPServer):
    """A service of a few words. `answers` are taken by (method, path), first come first served; the last one stays."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[tuple[str, str], list[Callable[[bytes], tuple[int, Any]]]] = {}
        self.heard: list[tuple[str, str, dict[str, str], bytes]] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/api"

    def say(self, method: str, path: str, *answers: Callable[[bytes], tuple[int, Any]]) -> None:
        self.answers[method, f"/api/{path}"] = list(answers)

    def prove(self, key: str = KEY) -> None:
        self.say("POST", "agent/hello", lambda body: (200, {"proof": proof(json.loads(body)["nonce"], key)}))


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.heard.append((self.command, self.path, dict(self.headers), body))
        waiting = self.server.answers.get((self.command, self.path.partition("?")[0]), [lambda body: (404, {})])
        status, said = (waiting.pop(0) if len(waiting) > 1 else waiting[0])(body)
        content = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_PUT = do_GET

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(uplink.stamp, "KEY", KEY)
    monkeypatch.setattr(uplink.stamp, "AGENT", "7")
    monkeypatch.setattr(uplink, "PAUSES", (0.01,))
    monkeypatch.setattr(gateway, "ROUTES", "/dev/null")
    monkeypatch.setattr(gateway, "places", lambda base: [base])
    one = Server()
    yield one
    one.shutdown()
    one.server_close()


def test_the_words_of_hammr_are_read():
    asked = hammr.read(["-u", "alice", "-p", "-odd", "-U", "http://h:1/api", "-o", "-n", "name", "-e", "/a", "-e", "/b"])
    assert (asked["user"], asked["password"], asked["base"], asked["overlay"], asked["name"]) == ("alice", "-odd", "http://h:1/api", True, "name")
    assert asked["exclude"] == ["/a", "/b"] and not asked["probe"]
    assert hammr.read(["-u", "alice", "-a", "pub", "-s", "sec", "-U", "http://h/api", "-P"])["public"] == "pub"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("-p x -U http://h/a -P", "-u LOGIN"),
        ("-u a -U http://h/a -P", "-p PASSWORD"),
        ("-u a -a k -U http://h/a -P", "-s KEY"),
        ("-u a -p", "-p needs a value"),
        ("-u a -p x -U http://h/a", "-n NAME"),
        ("-u a -p x -P", "-U URL"),
        ("-u a -p x -z -P", "'-z'"),
    ],
)
def test_a_wrong_command_line_is_named(words, said):
    with pytest.raises(hammr.Usage, match=said):
        hammr.read(words.split())


def test_the_password_is_not_in_the_title_of_the_process(server, tmp_path):
    server.prove()
    titles: list[bytes] = []

    def look(_body: bytes) -> tuple[int, Any]:
        titles.append(Path(f"/proc/{agent.pid}/cmdline").read_bytes() + Path(f"/proc/{agent.pid}/environ").read_bytes())
        return 200, {}

    server.say("GET", "agent/login", look)
    binary = tmp_path / "uforge-scan.bin"
    binary.write_bytes(bundle(AGENT="7", KEY=KEY, VERSION="1.2"))
    binary.chmod(0o755)
    agent = subprocess.Popen([str(binary), "-u", "alice", "-p", "s3cr3t", "-U", server.base, "-P"], stdout=subprocess.PIPE, text=True)
    said, _ = agent.communicate(timeout=30)
    assert agent.returncode == 0, said
    lines = said.splitlines()
    assert lines[0] == "uforge-scan v1.2 (Forgelet)" and lines[-4:] == ["Testing connection to the service...", " " * 36 + "SUCCESS!", "", ""]
    assert f"        Node Name:   {os.uname().nodename}" in lines and f"Server URL: {server.base}" in lines and "User: alice" in lines
    assert b"uforge-scan.bin" in titles[0] and b"s3cr3t" not in titles[0] and b"alice" not in titles[0]
    assert b64decode(server.heard[-1][2]["Authorization"].partition(" ")[2]) == b"alice:s3cr3t"
    assert binary.exists()


def test_who_cannot_prove_himself_hears_no_password(server):
    for key in ("00" * 32, ""):
        if key:
            server.prove(key)
        else:
            server.say("POST", "agent/hello", lambda body: (200, {}))
        with pytest.raises(uplink.Lost, match="cannot prove"):
            uplink.find(server.base)
    assert {(method, path) for method, path, _, _ in server.heard} == {("POST", "/api/agent/hello")}
    assert not any("Authorization" in headers for _, _, headers, _ in server.heard)


def test_what_is_no_service_is_told_as_that(server):
    with pytest.raises(uplink.Lost, match="is not the service that this program came from"):
        uplink.find(server.base)
    server.shutdown()
    server.server_close()
    with pytest.raises(uplink.Lost, match="nothing answers"):
        uplink.find(server.base)


def test_a_copy_without_a_stamp_asks_nobody(server, monkeypatch):
    monkeypatch.setattr(uplink.stamp, "KEY", "")
    with pytest.raises(uplink.Lost, match="not downloaded"):
        uplink.find(server.base)
    assert server.heard == []


def test_keys_sign_the_target_as_uforge_wants_it():
    path, headers = uplink.Credential("alice", None, "PUBKEY", "secret").sign("users/alice")
    text, _, signature = path.partition("&signature=")
    assert (text, headers) == ("users/alice?apiKey=PUBKEY", {})
    assert b64decode(parse_qs(f"s={signature}")["s"][0]) == hmac.new(b"secret", b"users/alice?apiKey=PUBKEY", hashlib.sha1).digest()


ROUTES = """Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth1\t00000000\t0102A8C0\t0003\t0\t0\t200\t00000000\t0\t0\t0
eth0\t00000000\t0202000A\t0003\t0\t0\t100\t00000000\t0\t0\t0
eth0\t0002000A\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0
"""


@pytest.mark.parametrize(
    ("base", "places"),
    [
        ("http://127.0.0.1:8090/api", ["http://127.0.0.1:8090/api", "http://10.0.2.2:8090/api"]),
        ("https://localhost/api", ["https://localhost/api", "https://10.0.2.2/api"]),
        ("http://[::1]:1/api", ["http://[::1]:1/api", "http://10.0.2.2:1/api"]),
        ("http://192.0.2.7:8090/api", ["http://192.0.2.7:8090/api"]),
    ],
)
def test_loopback_may_be_behind_the_gateway(tmp_path, base, places):
    (tmp_path / "route").write_text(ROUTES)
    assert gateway.places(base, str(tmp_path / "route")) == places


def test_without_a_gateway_there_is_one_place(tmp_path):
    (tmp_path / "route").write_text(ROUTES.splitlines()[0] + "\n")
    for routes in (tmp_path / "route", tmp_path / "none"):
        assert gateway.places("http://127.0.0.1:1/api", str(routes)) == ["http://127.0.0.1:1/api"]


def test_parts_are_sent_again_until_they_have_arrived(server, monkeypatch):
    monkeypatch.setattr(posting, "PART", 10)
    got: list[bytes] = []

    def take(body: bytes) -> tuple[int, Any]:
        got.append(zlib.decompress(body))
        return 200, {}

    server.say("PUT", "o/parts/0", lambda body: (503, {}), lambda body: (502, {}), take)
    server.say("PUT", "o/parts/1", take)
    server.say("POST", "o/end", lambda body: (200, {}))
    parts = posting.Parts(uplink.Uplink(server.base), "o")
    assert parts.write(b"0123456789abc") == 13
    parts.end("")
    assert got == [b"0123456789", b"abc"]
    sent = [(headers["X-Sha256"], body) for method, _, headers, body in server.heard if method == "PUT"]
    assert len(sent) == 4 and all(digest == hashlib.sha256(body).hexdigest() for digest, body in sent)
    assert json.loads(server.heard[-1][3]) == {"parts": 2, "error": ""}


def test_a_refused_part_ends_the_scan(server, monkeypatch):
    server.say("PUT", "o/parts/0", lambda body: (409, {"uforgeError": {"localizedErrorMsg": {"message": "the scan is over"}}}))
    parts = posting.Parts(uplink.Uplink(server.base), "o")
    parts.write(b"x")
    with pytest.raises(BrokenPipeError, match="the scan is over"):
        parts.end("")


def test_a_service_that_stays_away_is_given_up(server, monkeypatch):
    monkeypatch.setattr(uplink, "PATIENCE", 0.05)
    server.say("POST", "o/end", lambda body: (503, {}))
    with pytest.raises(uplink.Lost, match="is gone"):
        posting.Parts(uplink.Uplink(server.base), "o").end("")


def test_a_scan_that_is_refused_is_confessed(server):
    """Its user waits for it: hammr throws away what the agent prints."""
    server.prove()
    refusal = {"uforgeError": {"localizedErrorMsg": {"message": "no"}, "problems": ["exclude: 'x'"]}}
    server.say("POST", "agent/scans", lambda body: (400, refusal))
    server.say("POST", "agent/gone", lambda body: (200, {}))
    asked = hammr.read(["-u", "alice", "-p", "pw", "-U", server.base, "-n", "name", "-e", "x"])
    assert hammr.run(dict(asked)) == 1
    told = json.loads(server.heard[-1][3])
    assert told["reason"] == "no; exclude: 'x'"
    assert told["proof"] == hmac.new(bytes.fromhex(KEY), b"agent no; exclude: 'x'", hashlib.sha256).hexdigest()


@pytest.fixture(autouse=True)
def no_file_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """`run` removes the file that it was started from."""
    monkeypatch.setattr(hammr.sys, "argv", ["/nowhere/uforge-scan.bin"])
