"""Probes: the same question to the source and to the copy, and whether both answer the same."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from builders import asker
from builders.image import Difference, Scope
from scanner.errors import UserError
from scanner.host import clock

SHAPES = "http://:PORT/PATH, tcp://:PORT or cmd:COMMAND LINE"
_HTTP = re.compile(r"http://:([0-9]{1,5})(/[!-~]*)?")
_TCP = re.compile(r"tcp://:([0-9]{1,5})/?")
_COMMAND = re.compile(r"cmd:([^\0\n\r]*[^\s\0][^\0\n\r]*)")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    """HTTP status; 1 of a port that takes connections; a command's exit status."""
    size: int = 0
    """Bytes of the body, or of a command's output."""
    sha256: str = ""
    head: str = ""
    """Its beginning, printable; of a port the greeting, which is not compared."""
    error: str = ""
    """Why there was no answer; empty when there was."""

    @classmethod
    def of(cls, status: int, body: bytes, error: str = "") -> Answer:
        """The answer with that body."""
        return cls.told(asker.answer(status, body, body, error))

    @classmethod
    def told(cls, fields: dict[str, Any]) -> Answer:
        """As `asker.ask` tells it. Raises TypeError."""
        return cls(**fields)

    @property
    def compared(self) -> tuple[int, int, str]:
        return self.status, self.size, self.sha256


class Site(Protocol):
    """A machine that can be asked. A question that gets no answer is an answer with its error."""

    def ask(self, kind: str, port: int, path: str) -> Answer:
        """`http` or `tcp` on the machine's own port."""

    def command(self, line: str) -> Answer:
        """A line of POSIX shell, run as root in `/` with a plain environment; both outputs in one."""


@dataclass(frozen=True, slots=True)
class Http:
    """`http://:PORT/PATH`: a page that the machine itself serves."""

    port: int
    path: str

    def __str__(self) -> str:
        return f"http://:{self.port}{self.path}"

    def of(self, site: Site) -> Answer:
        return site.ask("http", self.port, self.path)


@dataclass(frozen=True, slots=True)
class Tcp:
    """`tcp://:PORT`: whether somebody listens."""

    port: int

    def __str__(self) -> str:
        return f"tcp://:{self.port}"

    def of(self, site: Site) -> Answer:
        return site.ask("tcp", self.port, "")


@dataclass(frozen=True, slots=True)
class Command:
    """`cmd:LINE`: exit status and output of a line of shell."""

    line: str

    def __str__(self) -> str:
        return f"cmd:{self.line}"

    def of(self, site: Site) -> Answer:
        return site.command(self.line)


Probe = Http | Tcp | Command


def parse(lines: Sequence[str]) -> list[Probe]:
    """Raises `UserError` naming every line that is no probe."""
    found = [_probe(line) for line in lines]
    wrong = [f"'{line}': must be {SHAPES}" for line, probe in zip(lines, found, strict=True) if probe is None]
    if wrong:
        raise UserError("not every probe can be understood", hint="as in: --probe http://:80/ --probe tcp://:22 --probe 'cmd:id anna'", problems=wrong)
    return [probe for probe in found if probe is not None]


def _probe(line: str) -> Probe | None:
    if (match := _HTTP.fullmatch(line)) and 0 < int(match[1]) < 65536:
        return Http(int(match[1]), match[2] or "/")
    if (match := _TCP.fullmatch(line)) and 0 < int(match[1]) < 65536:
        return Tcp(int(match[1]))
    command = _COMMAND.fullmatch(line)
    return Command(command[1].strip()) if command else None


def ports(probes: Sequence[Probe]) -> list[int]:
    """The ports that they ask, sorted."""
    return sorted({probe.port for probe in probes if not isinstance(probe, Command)})


def until(ask: Callable[[], Answer], deadline: float = 60.0) -> Answer:
    """Again and again until there is an answer or the time (seconds) is over: a service may come up after the guest agent."""
    end = clock.monotonic() + deadline
    while (answer := ask()).error and clock.monotonic() < end:
        clock.sleep(0.5)
    return answer


def row(probe: Probe, ours: Answer, theirs: Answer) -> dict[str, Any]:
    """One row of the fidelity report: the copy's answer, and the source's. See `same`."""
    told = {
        "probe": str(probe),
        "status": theirs.status,
        "size": theirs.size,
        "sha256": theirs.sha256,
        "head": theirs.head,
        "source_status": ours.status,
        "source_size": ours.size,
        "source_sha256": ours.sha256,
        "source_head": ours.head,
        "error": f"the copy: {theirs.error}" if theirs.error else f"the source: {ours.error}" if ours.error else "",
    }
    return {**told, "equal": same(told)}


def same(told: dict[str, Any]) -> bool:
    """Whether a row's answers are the same. Where one of them did not answer, nothing is proven."""
    return not told["error"] and all(told[f"source_{field}"] == told[field] for field in ("status", "size", "sha256"))


def judge(rows: Sequence[dict[str, Any]]) -> tuple[Scope, list[Difference]]:
    """The probes' part of the fidelity report."""
    wrong = [one for one in rows if not same(one)]
    sides = [(_words(one, "source_"), one["error"] or _words(one, "")) for one in wrong]
    found = [Difference(scope="probes", item=one["probe"], what="answer", source=ours, copy=theirs) for one, (ours, theirs) in zip(wrong, sides, strict=True)]
    return Scope(equal=len(rows) - len(wrong), unexplained=len(wrong)), found


def _words(told: dict[str, Any], side: str) -> str:
    return f"{told[f'{side}status']}, {told[f'{side}size']} bytes, {told[f'{side}head']}".partition("\n")[0]
