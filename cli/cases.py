"""What `forgelet spec test` found: one case for each builder of each file, as JUnit XML and as Markdown."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from cli.errors import BLIND, DIFFERENT, DONE, FAILED, UNREACHABLE, USER, CommandError


class Level(StrEnum):
    """How far a file is tested; each goes through those before it."""

    SYNTAX = "syntax"
    REHEARSE = "rehearse"
    BUILD = "build"
    BOOT = "boot"
    VERIFY = "verify"


LEVELS = list(Level)
WEIGHTS = (FAILED, UNREACHABLE, DIFFERENT, USER, BLIND, DONE)
"""Exit codes, the gravest first: what the whole run ends with."""


@dataclass(slots=True)
class Case:
    """One builder of one file, and what was found."""

    file: str
    builder: str
    """`builders[0] openstack`; `file` for what is wrong with the file as a whole."""
    code: int = DONE
    why: list[str] = field(default_factory=list)
    stages: dict[str, float] = field(default_factory=dict)
    """Level -> seconds"""
    image: int | None = None

    @property
    def seconds(self) -> float:
        return sum(self.stages.values())

    def told(self) -> dict[str, Any]:
        return {"file": self.file, "builder": self.builder, "exitCode": self.code, "why": self.why, "stages": self.stages, "image": self.image}

    def failed(self, error: CommandError) -> None:
        """It goes no further."""
        self.code, self.why = error.exit_code, [error.message, *error.problems, *([f"next: {error.hint}"] if error.hint else [])]

    def broken(self, error: Exception) -> None:
        """Something happened that nobody expected."""
        self.code, self.why = FAILED, [f"an internal fault ({type(error).__name__}: {error})"]


def worst(codes: Iterable[int]) -> int:
    """The gravest of the exit codes."""
    return min(codes, key=WEIGHTS.index, default=DONE)


def write_junit(path: Path, cases: Sequence[Case], level: Level) -> None:
    """A test suite, one test case each: a failure where the file or the copy is wrong, an error where a job or the service failed."""
    failures, errors = (sum(case.code in codes for case in cases) for codes in ((USER, DIFFERENT), (UNREACHABLE, FAILED)))
    suite = ET.Element("testsuite", name=f"forgelet spec test --level {level.value}", tests=str(len(cases)), failures=str(failures), errors=str(errors), time=f"{sum(c.seconds for c in cases):.2f}")
    for case in cases:
        one = ET.SubElement(suite, "testcase", classname=case.file, name=case.builder, time=f"{case.seconds:.2f}")
        if case.code != DONE:
            found = ET.SubElement(one, "failure" if case.code in (USER, DIFFERENT) else "error", message=_plain(case.why[0] if case.why else ""), type=f"exit {case.code}")
            found.text = _plain("\n".join(case.why))
        ET.SubElement(one, "system-out").text = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in case.stages.items())
    ET.ElementTree(suite).write(path, encoding="utf-8", xml_declaration=True)


def _plain(text: str) -> str:
    """Without what XML cannot hold, such as bytes of names that are not UTF-8."""
    return "".join(char if char in "\t\n" or (char.isprintable() and not 0xD800 <= ord(char) <= 0xDFFF) else "?" for char in text)


def markdown(cases: Sequence[Case], level: Level) -> str:
    """The result for people, as GitHub and GitLab show it below a run."""
    good = sum(case.code == DONE for case in cases)
    lines = [f"# Builder files, level {level.value}: {good} of {len(cases)} well", "", "| file | builder | result | time |", "| --- | --- | --- | --- |"]
    lines += [f"| {case.file} | {case.builder} | {'ok' if case.code == DONE else f'**failed ({case.code})**'} | {case.seconds:.1f} s |" for case in cases]
    for case in cases:
        if case.why:
            lines += ["", f"## {case.file}, {case.builder}", "", *(f"- {_plain(one)}" for one in case.why[:100])]
    return "\n".join(lines) + "\n"


