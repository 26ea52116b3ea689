"""`forgelet spec test`: builder files verified end to end, for CI. Each builder of each file is one case."""

from __future__ import annotations

import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from cli import render
from cli.client import Client
from cli.commands.build import read_file
from cli.commands.rehearse import exit_code
from cli.context import client, ended_badly
from cli.errors import DIFFERENT, DONE, FAILED, UNREACHABLE, USER, CommandError
from cli.render import Format, Output
from cli.scans import below, find
from emulator import local

app = typer.Typer(help="Builder files.", no_args_is_help=True)


class Level(StrEnum):
    """How far a file is tested; each goes through those before it."""

    SYNTAX = "syntax"
    REHEARSE = "rehearse"
    BUILD = "build"
    BOOT = "boot"
    VERIFY = "verify"


LEVELS = list(Level)
WEIGHTS = (FAILED, UNREACHABLE, DIFFERENT, USER, DONE)
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


@app.command()
def test(
    context: typer.Context,
    files: Annotated[list[Path], typer.Argument(help="Builder files, YAML or JSON.")],
    against: Annotated[str | None, typer.Option(help="What they build: number of a scan, or `docker:NAME`, `libvirt:NAME`, `directory:PATH`, which is scanned now.")] = None,
    level: Annotated[Level, typer.Option(help="How far.")] = Level.VERIFY,
    probe: Annotated[list[str] | None, typer.Option(help="As of `image verify`.")] = None,
    junit: Annotated[Path | None, typer.Option(help="Write the result as JUnit XML.")] = None,
    summary: Annotated[Path | None, typer.Option(help="Write the result as Markdown.")] = None,
    jobs: Annotated[int, typer.Option("-j", "--jobs", min=1, help="Cases at once; the service itself runs as many jobs as the machine allows.")] = 4,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the images that were built.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """Validate, rehearse, build, boot and verify builder files. Ends with the gravest of: 5 a job failed, 3 something not reachable, 4 the copy
    differs, 1 a file is wrong or blocked, 0 all is well."""
    quiet = output == Format.JSON
    say: Callable[[str], None] = (lambda _line: None) if quiet else render.say
    texts = {str(file): read_file(file) for file in files}
    cases = [case for name, text in texts.items() for case in _syntax(name, text)]
    if level != Level.SYNTAX and any(case.code == DONE for case in cases):
        service = client(context)
        scan = _scan(service, against, say)
        run = Run(service, scan, texts, level, probe or [], keep, say)
        with ThreadPoolExecutor(jobs) as pool:
            list(pool.map(run.case, [case for case in cases if case.code == DONE]))
    if junit is not None:
        _write_junit(junit, cases, level)
    if summary is not None:
        summary.write_text(markdown(cases, level), encoding="utf-8")
    if quiet:
        render.as_json({"level": level.value, "cases": [case.told() for case in cases]})
    else:
        rows = [(case.file, case.builder, "ok" if case.code == DONE else f"failed ({case.code})", f"{case.seconds:.1f} s", " / ".join(case.why)[:120]) for case in cases]
        render.say(render.table(("File", "Builder", "Result", "Time", "Why"), rows))
    raise typer.Exit(worst(case.code for case in cases))


def worst(codes: Iterable[int]) -> int:
    """The gravest of the exit codes."""
    return min(codes, key=WEIGHTS.index, default=DONE)


def _syntax(name: str, text: str) -> list[Case]:
    begun = time.monotonic()
    try:
        builders = local.builders_of(text, Path(name).name)
    except Exception as error:
        problems = [str(one) for one in getattr(error, "problems", ())]
        return [Case(name, "file", USER, problems or [str(error)], {"syntax": time.monotonic() - begun})]
    return [Case(name, f"builders[{number}] {kind}", stages={"syntax": round(time.monotonic() - begun, 2)}) for number, kind in enumerate(builders)]


def _scan(service: Client, against: str | None, say: Callable[[str], None]) -> dict[str, Any]:
    """The scan that the files are tested against. Raises `CommandError`."""
    if against is None:
        raise CommandError("against what?", hint="--against SCAN, docker:NAME or libvirt:NAME; or --level syntax")
    if against.isdecimal():
        return find(service, int(against))
    say(f"[scan] {against}")
    scan: dict[str, Any] = service.post("scannedinstances", {"name": f"spec-test-{int(time.time())}", "target": against, "overlay": True})
    job = service.control("GET", f"jobs/{scan['jobId']}")
    while job["state"] not in ("done", "failed", "cancelled"):
        time.sleep(0.3)
        job = service.control("GET", f"jobs/{scan['jobId']}")
    if job["state"] != "done":
        raise ended_badly(job)
    found: dict[str, Any] = service.get(below(scan["uri"]))
    return found


@dataclass(slots=True)
class Run:
    """What all cases of one run share."""

    service: Client
    scan: dict[str, Any]
    texts: dict[str, str]
    level: Level
    probes: Sequence[str]
    keep: bool
    say: Callable[[str], None]

    def case(self, case: Case) -> None:
        """Take it as far as it gets."""
        steps = {Level.REHEARSE: self._rehearse, Level.BUILD: self._build, Level.BOOT: self._prove, Level.VERIFY: self._judge}
        try:
            for level in LEVELS[1 : LEVELS.index(self.level) + 1]:
                begun = time.monotonic()
                self.say(f"[{level.value}] {case.file} {case.builder}")
                try:
                    steps[level](case)
                finally:
                    case.stages[level.value] = round(time.monotonic() - begun, 2)
                if case.code != DONE:
                    break
        except CommandError as error:
            case.code, case.why = error.exit_code, [error.message, *error.problems, *([f"next: {error.hint}"] if error.hint else [])]
        finally:
            if case.image is not None and not self.keep:
                self.service.delete(f"images/{case.image}")
                case.image = None

    def _text(self, case: Case) -> dict[str, str]:
        """The file with this one builder only, so that each is a case of its own."""
        import yaml

        number = int(case.builder.partition("[")[2].partition("]")[0])
        told = yaml.safe_load(self.texts[case.file])
        return {"fileName": Path(case.file).name, "text": yaml.safe_dump({**told, "builders": [told["builders"][number]]})}

    def _place(self) -> str:
        return below(self.scan["uri"])

    def _rehearse(self, case: Case) -> None:
        found = self.service.post(f"{self._place()}/rehearsals", self._text(case), patient=True)["rehearsals"]["rehearsal"]
        case.code = exit_code(found)
        case.why = [f"{point['code']}: {point['what']}" for one in found for point in one["points"] if point["weight"] == "blocks"]

    def _build(self, case: Case) -> None:
        [image] = self.service.post(f"{self._place()}/builds", self._text(case), patient=True)["images"]["image"]
        case.image = image["dbId"]
        self._wait(image["jobId"])

    def _prove(self, case: Case) -> None:
        job = self.service.post(f"images/{case.image}/verifications", {"probes": list(self.probes), "source": ""})
        self._wait(job["dbId"])
        found = self.service.get(f"images/{case.image}/verifications/last")
        problems = found["runtime"].get("problems", [])
        case.code, case.why = (DIFFERENT, problems) if problems else (DONE, [])

    def _judge(self, case: Case) -> None:
        found = self.service.get(f"images/{case.image}/verifications/last")
        left = [f"{one['scope']}: {one['item']}: {one['what']}" for one in found["differences"] if one["rule"] is None]
        case.code, case.why = (DIFFERENT, left) if left else (DONE, [])

    def _wait(self, job_id: int) -> None:
        job = self.service.control("GET", f"jobs/{job_id}")
        while job["state"] not in ("done", "failed", "cancelled"):
            time.sleep(0.5)
            job = self.service.control("GET", f"jobs/{job_id}")
        if job["state"] != "done":
            raise ended_badly(job)


def _write_junit(path: Path, cases: Sequence[Case], level: Level) -> None:
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


