"""Probes: the same question to the source and to the copy, and whether the answers are the same bytes."""

from __future__ import annotations

import hashlib
import http.client
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from scanner.errors import NotFound, UserError
from scanner.report import Container

_PROBE = re.compile(r"http://:([0-9]{1,5})(/[!-~]*)?")
LIMIT = 64 * 2**20
"""Bytes of an answer that are read and compared."""


@dataclass(frozen=True, slots=True)
class Probe:
    """`http://:PORT/PATH`: a page that the machine itself serves."""

    port: int
    path: str

    def __str__(self) -> str:
        return f"http://:{self.port}{self.path}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: HTTP status (0: nothing) and body."""

    status: int
    body: bytes
    error: str = ""

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.body).hexdigest()


def parse(lines: Sequence[str]) -> list[Probe]:
    """Raises `UserError` naming every line that is no probe."""
    matches = [(line, _PROBE.fullmatch(line)) for line in lines]
    wrong = [f"'{line}': must be http://:PORT/PATH" for line, match in matches if match is None or not 0 < int(match[1]) < 65536]
    if wrong:
        raise UserError("not every probe can be understood", hint="as in: --probe http://:80/", problems=wrong)
    return [Probe(int(match[1]), match[2] or "/") for _, match in matches if match]


def ask(port: int, path: str, timeout: float = 20.0) -> Answer:
    """GET from 127.0.0.1; a connection that fails is an answer with its error."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", path, headers={"Host": "localhost"})
        response = connection.getresponse()
        body = response.read(LIMIT)
        if response.length and len(body) < LIMIT:
            raise http.client.IncompleteRead(body, response.length)
        return Answer(response.status, body)
    except (OSError, http.client.HTTPException) as error:
        return Answer(0, b"", f"{type(error).__name__}: {error}")
    finally:
        connection.close()


def ask_until(port: int, path: str, deadline: float = 60.0) -> Answer:
    """As `ask`, again and again until something answers or the time is over."""
    end = time.monotonic() + deadline
    while not (answer := ask(port, path)).status and time.monotonic() < end:
        time.sleep(0.5)
    return answer


def source_port(source: str, port: int) -> int:
    """The port on 127.0.0.1 where the source's own `port` is reached. Raises `NotFound` when it is not published there."""
    from scanner.targets import open_target

    facts = open_target(source).facts() if source else None
    found = facts.published.get(f"{port}/tcp") if isinstance(facts, Container) else None
    if not found:
        raise NotFound(f"port {port} of {source or 'the source'} is not published on 127.0.0.1, so it cannot be asked", hint="leave out the probe, or publish it")
    return found


def compared(probe: Probe, source: Callable[[], Answer], copy: Callable[[], Answer]) -> dict[str, Any]:
    """One row of the fidelity report."""
    ours, theirs = source(), copy()
    return {
        "probe": str(probe),
        "status": theirs.status,
        "size": len(theirs.body),
        "sha256": theirs.sha256,
        "source_status": ours.status,
        "source_sha256": ours.sha256,
        "error": theirs.error or ours.error,
        "equal": bool(theirs.status) and (ours.status, ours.body) == (theirs.status, theirs.body),
    }
