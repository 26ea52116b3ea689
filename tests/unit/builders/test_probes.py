"""Probes: what is understood, and that only the same bytes are the same answer (asked of a real server on 127.0.0.1)."""

from __future__ import annotations

import hashlib
import http.server
import threading
from collections.abc import Iterator

import pytest

from builders import probes
from builders.machine import free_port
from builders.probes import Answer, Probe, ask, ask_until, compared, parse
from scanner.errors import NotFound, UserError
from scanner.report import Container


class _Pages(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/broken":
            self.wfile.write(b"this is no HTTP\r\n\r\n")
            return
        if self.path == "/cut":
            self.send_response(200)
            self.send_header("Content-Length", "100")
            self.end_headers()
            self.wfile.write(b"less")
            return
        status = 200 if self.path.startswith("/page") else 404
        self.send_response(status)
        self.end_headers()
        self.wfile.write(f"{self.path} {self.headers['Host']}".encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Pages) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("line", "probe"),
    [
        ("http://:80/", Probe(80, "/")),
        ("http://:8080", Probe(8080, "/")),
        ("http://:65535/a/b?c=d&e=%20#f", Probe(65535, "/a/b?c=d&e=%20#f")),
    ],
)
def test_a_probe_is_a_port_and_a_path(line: str, probe: Probe) -> None:
    assert parse([line]) == [probe]
    assert parse([str(probe)]) == [probe]


WRONG = [
    "",
    "80",
    "http://:0/",
    "http://:65536/",
    "http://:999999/",
    "http://localhost:80/",
    "http://192.168.0.1:80/",
    "https://:80/",
    "http://:80/a b",
    "http://:80/a\r\nHost: evil",
    "http://:80/\n",
    "http://:80/\x7f",
    "http://:80/caf\xe9",
    "http://:\u0668\u0660/",
    "http://:80x",
    "HTTP://:80/",
]


@pytest.mark.parametrize("line", WRONG)
def test_what_is_no_probe_is_refused(line: str) -> None:
    with pytest.raises(UserError) as caught:
        parse([line])
    assert caught.value.problems == (f"'{line}': must be http://:PORT/PATH",)


def test_every_wrong_line_is_named_and_no_right_one() -> None:
    with pytest.raises(UserError) as caught:
        parse(["http://:80/", "one", "http://:81/", "two"])
    assert [problem.split(":")[0] for problem in caught.value.problems] == ["'one'", "'two'"]


def test_an_answer_is_the_servers_status_and_body(port: int) -> None:
    assert ask(port, "/page?x=1") == Answer(200, b"/page?x=1 localhost")
    assert ask(port, "/other").status == 404


def test_nobody_listening_is_an_answer_with_its_error() -> None:
    answer = ask(free_port(), "/")
    assert (answer.status, answer.body) == (0, b"")
    assert "ConnectionRefusedError" in answer.error


@pytest.mark.parametrize("path", ["/broken", "/cut"])
def test_half_an_answer_is_none(port: int, path: str) -> None:
    answer = ask(port, path)
    assert (answer.status, answer.body) == (0, b"")
    assert answer.error


def test_asking_until_takes_the_first_answer_even_a_bad_one(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([Answer(0, b"", "refused"), Answer(0, b"", "refused"), Answer(503, b"")])
    monkeypatch.setattr(probes, "ask", lambda port, path: next(answers))
    monkeypatch.setattr(probes.time, "sleep", lambda seconds: None)
    assert ask_until(port, "/").status == 503


def test_asking_ends_when_the_time_is_over() -> None:
    assert ask_until(free_port(), "/", deadline=0).status == 0


def test_the_same_bytes_are_equal(port: int) -> None:
    row = compared(Probe(80, "/page"), lambda: ask(port, "/page"), lambda: ask(port, "/page"))
    assert row["equal"] is True
    assert row["probe"] == "http://:80/page"
    assert (row["status"], row["source_status"], row["size"]) == (200, 200, len("/page localhost"))
    assert row["sha256"] == row["source_sha256"] == hashlib.sha256(b"/page localhost").hexdigest()


@pytest.mark.parametrize(
    ("source", "copy"),
    [
        (Answer(200, b"a"), Answer(200, b"b")),
        (Answer(200, b"a"), Answer(200, b"a\n")),
        (Answer(200, b"a"), Answer(500, b"a")),
        (Answer(200, b""), Answer(0, b"", "refused")),
        (Answer(0, b"", "refused"), Answer(0, b"", "refused")),
        (Answer(0, b"", "refused"), Answer(200, b"")),
    ],
)
def test_anything_else_is_not(source: Answer, copy: Answer) -> None:
    row = compared(Probe(80, "/"), lambda: source, lambda: copy)
    assert row["equal"] is False
    assert row["error"] == (copy.error or source.error)


def test_the_same_refusal_of_both_is_equal() -> None:
    assert compared(Probe(80, "/"), lambda: Answer(404, b"no"), lambda: Answer(404, b"no"))["equal"] is True


def test_a_port_of_the_source_is_found_where_it_is_published(monkeypatch: pytest.MonkeyPatch) -> None:
    class Live:
        def facts(self) -> Container:
            return Container(published={"80/tcp": 32768, "53/udp": 32769})

    monkeypatch.setattr("scanner.targets.open_target", lambda source: Live())
    assert probes.source_port("docker:web", 80) == 32768
    with pytest.raises(NotFound, match="port 53 of docker:web"):
        probes.source_port("docker:web", 53)
    with pytest.raises(NotFound, match="the source"):
        probes.source_port("", 80)
