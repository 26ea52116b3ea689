"""`forgelet spec test`: builder files verified end to end, for CI. Each builder of each file is one case."""

from __future__ import annotations

import tarfile
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from cli import render
from cli.cases import LEVELS, Case, Level, markdown, worst, write_junit
from cli.client import Client
from cli.commands.build import read_file
from cli.commands.rehearse import exit_code
from cli.context import INTERVAL, client, ended_badly
from cli.errors import BLIND, DIFFERENT, DONE, USER, CommandError
from cli.render import Format, Output
from cli.scans import below, find
from cli.sendable import without_secrets
from emulator import local

app = typer.Typer(help="Builder files.", no_args_is_help=True)


@app.command()
def test(
    context: typer.Context,
    files: Annotated[list[Path], typer.Argument(help="Builder files, YAML or JSON.")],
    against: Annotated[str | None, typer.Option(help="What they build: number of a scan; a recorded report (the folder of a scan, or a tar archive of it); or `docker:NAME`, `libvirt:NAME`, `directory:PATH`, which is scanned now.")] = None,
    level: Annotated[Level, typer.Option(help="How far.")] = Level.VERIFY,
    probe: Annotated[list[str] | None, typer.Option(help="As of `image verify`.")] = None,
    junit: Annotated[Path | None, typer.Option(help="Write the result as JUnit XML.")] = None,
    summary: Annotated[Path | None, typer.Option(help="Write the result as Markdown.")] = None,
    jobs: Annotated[int, typer.Option("-j", "--jobs", min=1, help="Cases at once; the service itself runs as many jobs as the machine allows.")] = 4,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the images that were built, and the scan that was made for them.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """Validate, rehearse, build, boot and verify builder files. Ends with the gravest of: 5 a job failed, 3 something not reachable, 4 the copy
    differs, 1 a file is wrong or blocked, 2 all is well, but the scan has blind spots, 0 all is well."""
    quiet = output == Format.JSON
    say: Callable[[str], None] = (lambda _line: None) if quiet else render.say
    texts, cases = _read(files)
    ended: CommandError | None = None
    blind = False
    try:
        if level != Level.SYNTAX and any(case.code == DONE for case in cases):
            with _source(client(context), against, keep, say) as (service, scan):
                blind = scan["exitCode"] == BLIND
                run = Run(service, scan, texts, level, probe or [], keep, say)
                with ThreadPoolExecutor(jobs) as pool:
                    list(pool.map(run.case, [case for case in cases if case.code == DONE]))
    except CommandError as error:
        ended = error
        for case in cases:
            if case.code == DONE and level.value not in case.stages:
                case.failed(error)
    finally:
        # Whatever happened: who reads them has nothing else.
        if junit is not None:
            write_junit(junit, cases, level)
        if summary is not None:
            summary.write_text(markdown(cases, level), encoding="utf-8")
    if quiet:
        render.as_json({"level": level.value, "blindSpots": blind, "cases": [case.told() for case in cases]})
    else:
        rows = [(case.file, case.builder, "ok" if case.code == DONE else f"failed ({case.code})", f"{case.seconds:.1f} s", " / ".join(case.why)[:120]) for case in cases]
        render.say(render.table(("File", "Builder", "Result", "Time", "Why"), rows))
        if blind:
            render.say("The scan has blind spots: what it could not read is in no image (forgelet scan show)")
    if ended is not None:
        raise ended
    raise typer.Exit(worst([*(case.code for case in cases), BLIND if blind else DONE]))


def _read(files: Sequence[Path]) -> tuple[dict[str, str], list[Case]]:
    """What the files say, and the cases in them; a file that cannot be read is one."""
    texts: dict[str, str] = {}
    cases: list[Case] = []
    for file in files:
        try:
            texts[str(file)] = read_file(file)
        except CommandError as error:
            cases.append(Case(str(file), "file"))
            cases[-1].failed(error)
        else:
            cases += _syntax(str(file), texts[str(file)])
    return texts, cases


def _syntax(name: str, text: str) -> list[Case]:
    begun = time.monotonic()
    try:
        builders = local.builders_of(text, Path(name).name)
    except Exception as error:
        problems = [str(one) for one in getattr(error, "problems", ())]
        return [Case(name, "file", USER, problems or [str(error)], {"syntax": time.monotonic() - begun})]
    return [Case(name, f"builders[{number}] {kind}", stages={"syntax": round(time.monotonic() - begun, 2)}) for number, kind in enumerate(builders)]


@contextmanager
def _source(service: Client, against: str | None, keep: bool, say: Callable[[str], None]) -> Iterator[tuple[Client, dict[str, Any]]]:
    """The scan that the files are tested against; one that is made for the test goes with it. Raises `CommandError`."""
    if against is None:
        raise CommandError("against what?", hint="--against SCAN, REPORT, docker:NAME or libvirt:NAME; or --level syntax")
    if against.isdecimal():
        yield service, find(service, int(against))
        return
    name = f"spec-test-{uuid.uuid4().hex[:12]}"
    report = Path(against)
    scan = _sent(service, report, name, say) if report.exists() else _scanned(service, against, name, say)
    try:
        if "jobId" in scan:
            _ended(service, scan["jobId"])
        yield service, service.get(below(scan["uri"]))
    finally:
        if not keep:
            with suppress(CommandError):
                service.delete(below(scan["scannedInstanceUri"]))


def _sent(service: Client, report: Path, name: str, say: Callable[[str], None]) -> dict[str, Any]:
    """A report that was recorded: the folder of a scan, or that as an archive."""
    say(f"[report] {report}")
    if report.is_file():
        return dict(service.control_upload("reports", report, name=name))
    if not (report / "head.json").is_file():
        raise CommandError(f"there is no report in {report}", hint="the folder of a scan: head.json, files.ndjson.zst, overlay.tar.zst; or a tar archive of it")
    with tempfile.TemporaryDirectory() as folder:
        packed = Path(folder) / "report.tar"
        with tarfile.open(packed, "w") as tar:
            tar.add(report, arcname=".")
        return dict(service.control_upload("reports", packed, name=name))


def _scanned(service: Client, target: str, name: str, say: Callable[[str], None]) -> dict[str, Any]:
    if ":" not in target:
        raise CommandError(f"there is no report {target}", hint="--against SCAN, REPORT (a folder or an archive), docker:NAME, libvirt:NAME or directory:PATH")
    say(f"[scan] {target}")
    return dict(service.post("scannedinstances", {"name": name, "target": target, "overlay": True}))


def _ended(service: Client, job_id: int) -> None:
    """Wait for a job. Raises `CommandError` when it is not done."""
    job = service.control("GET", f"jobs/{job_id}")
    while job["state"] not in ("done", "failed", "cancelled"):
        time.sleep(INTERVAL)
        job = service.control("GET", f"jobs/{job_id}")
    if job["state"] != "done":
        raise ended_badly(job)


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
            case.failed(error)
        except Exception as error:  # the others go on, and the report is written
            case.broken(error)
        finally:
            self._tidy(case)

    def _tidy(self, case: Case) -> None:
        """Take away what was built for the test. What cannot be is told, and changes nothing of what was found."""
        if case.image is None or self.keep:
            return
        try:
            self.service.delete(f"images/{case.image}")
            case.image = None
        except CommandError as error:
            case.why.append(f"image {case.image} is left: {error.message}")

    def _text(self, case: Case) -> dict[str, str]:
        """The file with this one builder only, so that each is a case of its own."""
        import yaml

        number = int(case.builder.partition("[")[2].partition("]")[0])
        told = yaml.safe_load(self.texts[case.file])
        return {"fileName": Path(case.file).name, "text": yaml.safe_dump(without_secrets({**told, "builders": [told["builders"][number]]}))}

    def _place(self) -> str:
        return below(self.scan["uri"])

    def _rehearse(self, case: Case) -> None:
        found = self.service.post(f"{self._place()}/rehearsals", self._text(case), patient=True)["rehearsals"]["rehearsal"]
        case.code = exit_code(found)
        case.why = [f"{point['code']}: {point['what']}" for one in found for point in one["points"] if point["weight"] == "blocks"]

    def _build(self, case: Case) -> None:
        [image] = self.service.post(f"{self._place()}/builds", self._text(case), patient=True)["images"]["image"]
        case.image = image["dbId"]
        _ended(self.service, image["jobId"])

    def _prove(self, case: Case) -> None:
        job = self.service.post(f"images/{case.image}/verifications", {"probes": list(self.probes), "source": ""})
        _ended(self.service, job["dbId"])
        found = self.service.get(f"images/{case.image}/verifications/last")
        problems = found["runtime"].get("problems", [])
        case.code, case.why = (DIFFERENT, problems) if problems else (DONE, [])

    def _judge(self, case: Case) -> None:
        found = self.service.get(f"images/{case.image}/verifications/last")
        left = [f"{one['scope']}: {one['item']}: {one['what']}" for one in found["differences"] if one["rule"] is None]
        case.code, case.why = (DIFFERENT, left) if left else (DONE, [])
