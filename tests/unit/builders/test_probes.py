"""Probes: what is understood, that only the same answer is the same, and how each kind of machine is asked (real servers on 127.0.0.1)."""

from __future__ import annotations

import hashlib
import http.server
import json
import socket
import socketserver
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from builders import asker, probes, sites
from builders.machine import free_port
from builders.probes import Answer, Command, Http, Tcp, parse, row
from builders.sites import Contained, Source, shell, site_of
from scanner.errors import StepFailed, UserError
from scanner.host.run import run
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


@contextmanager
def serving(server: socketserver.TCPServer) -> Iterator[int]:
    with server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with serving(http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Pages)) as port:
        yield port


def ask(port: int, path: str = "/", kind: str = "http") -> Answer:
    return Answer.told(asker.ask(kind, port, path))


@pytest.mark.parametrize(
    ("line", "probe"),
    [
        ("http://:80/", Http(80, "/")),
        ("http://:8080", Http(8080, "/")),
        ("http://:65535/a/b?c=d&e=%20#f", Http(65535, "/a/b?c=d&e=%20#f")),
        ("tcp://:22", Tcp(22)),
        ("tcp://:5432/", Tcp(5432)),
        ("cmd:id anna", Command("id anna")),
        ("cmd: psql -c 'select 1' | wc -l ", Command("psql -c 'select 1' | wc -l")),
    ],
)
def test_a_probe_is_a_page_a_port_or_a_command(line: str, probe: probes.Probe) -> None:
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
    "tcp://:0",
    "tcp://:70000",
    "tcp://192.168.0.1:22",
    "tcp://:22/x",
    "cmd:",
    "cmd:  ",
    "cmd:one\ntwo",
    "cmd:\0",
    "id",
]


@pytest.mark.parametrize("line", WRONG)
def test_what_is_no_probe_is_refused(line: str) -> None:
    with pytest.raises(UserError) as caught:
        parse([line])
    assert caught.value.problems == (f"'{line}': must be http://:PORT/PATH, tcp://:PORT or cmd:COMMAND LINE",)


def test_every_wrong_line_is_named_and_no_right_one() -> None:
    with pytest.raises(UserError) as caught:
        parse(["http://:80/", "one", "http://:81/", "two"])
    assert [problem.split(":")[0] for problem in caught.value.problems] == ["'one'", "'two'"]


def test_only_pages_and_ports_need_a_way_to_the_machines_port() -> None:
    assert probes.ports(parse(["http://:80/", "tcp://:22", "http://:80/x", "cmd:true"])) == [22, 80]


def test_an_answer_is_the_servers_status_and_body(port: int) -> None:
    answer = ask(port, "/page?x=1")
    assert answer == Answer.of(200, b"/page?x=1 localhost")
    assert (answer.size, answer.head, answer.error) == (19, "/page?x=1 localhost", "")
    assert answer.sha256 == hashlib.sha256(b"/page?x=1 localhost").hexdigest()
    assert ask(port, "/other").status == 404


@pytest.mark.parametrize("kind", ["http", "tcp"])
def test_nobody_listening_is_an_answer_with_its_error(kind: str) -> None:
    answer = ask(free_port(), kind=kind)
    assert (answer.status, answer.size) == (0, 0)
    assert "ConnectionRefusedError" in answer.error


@pytest.mark.parametrize("path", ["/broken", "/cut"])
def test_half_an_answer_is_none(port: int, path: str) -> None:
    answer = ask(port, path)
    assert (answer.status, answer.size) == (0, 0)
    assert answer.error


class _Greets(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        self.request.sendall(b"SSH-2.0-x\r\n\xff")


class _HangsUp(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        pass


def test_a_port_that_greets_listens_and_its_greeting_is_shown_but_not_compared() -> None:
    with serving(socketserver.TCPServer(("127.0.0.1", 0), _Greets)) as port:
        answer = ask(port, kind="tcp")
    assert (answer.status, answer.head, answer.error) == (1, "SSH-2.0-x\n\\xff", "")
    assert row(Tcp(22), Answer(1, sha256="e", head="220 12:00"), Answer(1, sha256="e", head="220 12:01"))["equal"] is True


def test_a_port_that_waits_for_the_client_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asker, "LISTENS", 0.05)
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        assert ask(server.getsockname()[1], kind="tcp").status == 1


def test_a_port_that_hangs_up_at_once_does_not_listen() -> None:
    # What QEMU's forward does with a port on which nobody listens in the machine.
    with serving(socketserver.TCPServer(("127.0.0.1", 0), _HangsUp)) as port:
        assert "closed at once" in ask(port, kind="tcp").error


def test_asking_until_takes_the_first_answer_even_a_bad_one(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([Answer(0, error="refused"), Answer(0, error="refused"), Answer(503)])
    monkeypatch.setattr(probes.clock, "sleep", lambda seconds: None)
    assert probes.until(lambda: next(answers)).status == 503


def test_asking_ends_when_the_time_is_over() -> None:
    assert probes.until(lambda: Answer(0, error="refused"), deadline=0).error == "refused"


def test_the_same_bytes_are_equal(port: int) -> None:
    told = row(Http(80, "/page"), ask(port, "/page"), ask(port, "/page"))
    assert told["equal"] is True
    assert told["probe"] == "http://:80/page"
    assert (told["status"], told["source_status"], told["size"]) == (200, 200, len("/page localhost"))
    assert told["sha256"] == told["source_sha256"] == hashlib.sha256(b"/page localhost").hexdigest()


DIFFERENT = [
    (Answer.of(200, b"a"), Answer.of(200, b"b")),
    (Answer.of(200, b"a"), Answer.of(200, b"a\n")),
    (Answer.of(200, b"a"), Answer.of(500, b"a")),
    (Answer.of(0, b"out"), Answer.of(1, b"out")),
    (Answer.of(200, b""), Answer(0, error="refused")),
    (Answer(0, error="refused"), Answer(0, error="refused")),
    (Answer(0, error="refused"), Answer.of(200, b"")),
    (Answer(0, error="no source"), Answer.of(0, b"")),
]


@pytest.mark.parametrize(("source", "copy"), DIFFERENT)
def test_anything_else_is_not_and_is_an_unexplained_difference(source: Answer, copy: Answer) -> None:
    told = row(Http(80, "/"), source, copy)
    assert told["equal"] is False
    assert (copy.error or source.error) in told["error"]
    scope, (found,) = probes.judge([told])
    assert (scope.equal, scope.unexplained, found.item, found.rule) == (0, 1, "http://:80/", None)


def test_the_verdict_follows_from_the_answers_and_not_from_what_a_row_says_of_itself() -> None:
    told = {**row(Http(80, "/"), Answer.of(200, b"a"), Answer.of(200, b"b")), "equal": True}
    assert probes.judge([told])[0].unexplained == 1


@pytest.mark.parametrize(("status", "body"), [(404, b"no"), (0, b""), (3, b"inactive\n")])
def test_the_same_refusal_of_both_is_equal(status: int, body: bytes) -> None:
    assert row(Command("x"), Answer.of(status, body), Answer.of(status, body))["equal"] is True


class Here:
    """A live system that is this machine."""

    label = "ssh:me@here:22"
    fails: Exception | None = None

    def __init__(self, facts: Container | None = None) -> None:
        self._facts = facts

    def facts(self) -> Container | None:
        return self._facts

    def execute(self, argv: Sequence[str], timeout: float = 60.0) -> tuple[int, bytes]:
        if self.fails:
            raise self.fails
        done = run(argv, check=False)
        return done.returncode, done.stdout + done.stderr

    def from_its_network(self, argv: Sequence[str], timeout: float = 60.0) -> tuple[int, bytes]:
        return self.execute([sys.executable, "-I", "-S", *argv])


def test_a_command_has_a_plain_environment_and_both_outputs_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "x")
    answer = Source(Here()).command("env | cut -d= -f1 | grep -E 'SECRET|HOME'; pwd; ls /does/not/exist; exit 3")
    assert answer.status == 3
    assert answer.head.split("\n")[:2] == ["HOME", "/"]
    assert "/does/not/exist" in answer.head and answer.size > 20
    assert Source(Here()).command("read line; echo \"got '$line'\"").head == "got ''"


def test_a_host_is_asked_by_its_own_python(port: int) -> None:
    site = site_of(Here())  # type: ignore[arg-type]
    assert isinstance(site, Source)
    assert site.ask("http", port, "/page") == ask(port, "/page")
    assert "Refused" in site.ask("tcp", free_port(), "").error


def test_a_container_is_asked_where_it_is_published_and_else_from_its_own_network(port: int) -> None:
    published: Any = site_of(Here(Container(published={"80/tcp": port, "81/udp": 1})))  # type: ignore[arg-type]
    assert isinstance(published, Contained)
    assert published.ask("http", 80, "/page") == ask(port, "/page")
    assert published.ask("http", port, "/page?inside").head == "/page?inside localhost"


def test_what_cannot_be_asked_says_why() -> None:
    target = Here()
    target.fails = StepFailed("the guest agent is gone")
    assert Source(target).command("true").error == Source(target).ask("tcp", 1, "").error == "the guest agent is gone"
    assert sites._told((127, b"no Python here\n")).error == "no Python here"
    assert sites._told((0, b"{}x")).error.startswith("not understood")
    assert sites._told((0, json.dumps({"odd": 1}).encode())).error.startswith("not understood")


def test_what_does_not_run_cannot_be_asked() -> None:
    class Folder:
        label = "directory:/x"

        def facts(self) -> None:
            return None

    with pytest.raises(UserError, match="does not run"):
        site_of(Folder())  # type: ignore[arg-type]


def test_a_line_of_shell_is_one_argument() -> None:
    assert shell("a 'b'")[-1].endswith("\na 'b'")
