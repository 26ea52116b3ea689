"""Where probes are asked: the live system, by whatever way leads into it, and the booted copy."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

from builders import asker
from builders.machine import Machine
from builders.probes import Answer, Site, until
from scanner.errors import ForgeletError, UserError
from scanner.report import Container
from scanner.targets import open_target, opened
from scanner.targets.access import Access
from scanner.targets.base import Target

PATIENCE = 60.0
"""Seconds that a command may take."""
ENVIRONMENT = ("/usr/bin/env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C.UTF-8")
PYTHON = "for one in python3 /usr/libexec/platform-python; do command -v $one >/dev/null && exec $one -I -c \"$@\"; done; echo no Python here; exit 127"


class Enterable(Protocol):
    """A live system in which programs can be run."""

    @property
    def label(self) -> str: ...

    def execute(self, argv: Sequence[str], timeout: float = PATIENCE) -> tuple[int, bytes]:
        """Exit status, and both outputs in one. Raises `ForgeletError`."""


def shell(line: str) -> list[str]:
    """The command line by which every site runs a line of shell."""
    return [*ENVIRONMENT, "/bin/sh", "-c", f"cd / && exec 2>&1 </dev/null\n{line}"]


@dataclass(frozen=True, slots=True)
class Source:
    """The live system."""

    target: Enterable

    def command(self, line: str) -> Answer:
        return _answered(lambda: Answer.of(*self.target.execute(shell(line))))

    def ask(self, kind: str, port: int, path: str) -> Answer:
        """From the machine itself, by its own Python."""
        return _answered(lambda: _told(self.target.execute([*ENVIRONMENT, "/bin/sh", "-c", PYTHON, "sh", text(), kind, str(port), path or "/"])))


@dataclass(frozen=True, slots=True)
class Contained:
    """A container: ports by their place on 127.0.0.1 where they are published, else from inside its network."""

    target: Any
    """`DockerTarget`"""
    published: dict[str, int]

    def command(self, line: str) -> Answer:
        return Source(self.target).command(line)

    def ask(self, kind: str, port: int, path: str) -> Answer:
        if here := self.published.get(f"{port}/tcp"):
            return Answer.told(asker.ask(kind, here, path))
        return _answered(lambda: _told(self.target.from_its_network(["-c", text(), kind, str(port), path or "/"])))


@dataclass(frozen=True, slots=True)
class Booted:
    """The copy: its ports by their forwards, as somebody outside meets them; commands through the guest agent."""

    machine: Machine

    def command(self, line: str) -> Answer:
        return _answered(lambda: Answer.of(*self.machine.output(*shell(line), timeout=PATIENCE)))

    def ask(self, kind: str, port: int, path: str) -> Answer:
        return until(lambda: Answer.told(asker.ask(kind, self.machine.ports[port], path)))


@contextmanager
def source_site(label: str, access: Access | None, log: Callable[[str], None]) -> Iterator[Site | None]:
    """The site of a label such as `docker:web`; None for none. Raises `UserError` where nothing can be asked, `NotFound`, `Unreachable`."""
    if not label:
        yield None
        return
    with opened(open_target(label, access, log)) as target:
        yield site_of(target)


def site_of(target: Target) -> Site:
    """Raises `UserError` for what does not run, `NotFound`, `Unreachable`."""
    facts = target.facts()
    if not hasattr(target, "execute"):
        raise UserError(f"'{target.label}' does not run: no probe can be asked of it", hint="--source docker:NAME, libvirt:NAME or ssh:USER@HOST:PORT")
    return Contained(target, facts.published) if isinstance(facts, Container) else Source(cast(Enterable, target))


def text() -> str:
    """The program that asks, as an argument of Python's."""
    return Path(asker.__file__).read_text(encoding="utf-8")


def _told(ended: tuple[int, bytes]) -> Answer:
    status, said = ended
    try:
        return Answer.told(json.loads(said)) if status == 0 else Answer(0, error=_last(said))
    except (ValueError, TypeError):
        return Answer(0, error=f"not understood: {_last(said)}")


def _last(said: bytes) -> str:
    return next((line for line in reversed(said.decode(errors="replace").splitlines()) if line.strip()), "no output")


def _answered(ask: Callable[[], Answer]) -> Answer:
    try:
        return ask()
    except ForgeletError as error:
        return Answer(0, error=error.message)
