"""The proof: boot a throw-away copy, ask it, shut it down, read its disk, compare with the source, hear the witnesses."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from builders import origins
from builders import probes as probing
from builders.copydisk import Copy, Mounted
from builders.fidelity import Comparison, compare
from builders.formats import sha256
from builders.image import Difference, Fidelity, Image, Proven, Scope, Witness, driver
from builders.machine import Machine, booted
from builders.probes import Answer, Probe, Site
from builders.proof import kept, questions, witnesses
from builders.sites import Booted, source_site
from builders.stages import Stages
from scanner.host.disks import root_of
from scanner.host.run import run
from scanner.progress import Progress, Silent
from scanner.report import Report
from scanner.scan import scan as read_tree
from scanner.targets.access import Access
from scanner.targets.directory import DirectoryTarget

_ORDERS = re.compile(r"\x1b(\[[0-9;?]*[ -/]*[@-~]|[@-Z\\-_])")


def verify(
    scan: Path, image: Path, work: Path, progress: Progress, *, probes: Sequence[str] = (), source: str = "", access: Access | None = None, keep: Path | None = None, strict: bool = False
) -> Fidelity:
    """Compare the machine that boots from the image in folder `image` with the scan in folder `scan`.

    `probes` are lines as `builders/probes.py` reads them; each is asked of the source (`source`: a target label such as `docker:web`,
    still running, opened by `access`) and of the copy. Into the folder `keep` goes what a check elsewhere needs (`proof/kept.py`). In a
    `strict` proof what a rule explains counts as well.
    Stages: `boot`, `ask`, `read`, `compare`. Raises `OlderImage`, `BootFailed`, `MissingTool`, `UserError`, `NotFound`, `Unreachable`, `Cancelled`.
    """
    wanted = probing.parse(probes)
    # Before anything is booted: without it nothing can be proven.
    origins.record(image)
    with ExitStack() as held:
        live = held.enter_context(source_site(source, access, progress.log))
        return Proof(scan, image, work, progress, keep).run(wanted, live).model_copy(update={"strict": strict})


@dataclass(slots=True)
class Told:
    """What was heard of the running copy, and of the source meanwhile."""

    runtime: dict[str, Any] = field(default_factory=dict)
    witnesses: list[Witness] = field(default_factory=list)
    probes: list[dict[str, Any]] = field(default_factory=list)
    source_failed: frozenset[str] = frozenset()
    """Units that fail on the source."""
    transcript: list[str] = field(default_factory=list)
    image: str = ""
    """sha256 of the file that was booted, as it was read then."""


@dataclass(slots=True)
class Proof:
    """One proof; its two halves can be done apart: `boot`, and `judge` of whatever disk the copy has now."""

    scan: Path
    image: Path
    work: Path
    progress: Progress
    keep: Path | None = None
    clock: Stages = field(init=False)

    def __post_init__(self) -> None:
        self.clock = Stages(self.progress)
        self.work.mkdir(parents=True, exist_ok=True)

    def run(self, wanted: Sequence[Probe], live: Site | None) -> Fidelity:
        told, source = Image.load(self.image), Report(self.scan)
        disk, heard = self.boot(told, source, wanted, live)
        return self.judge(told, source, disk, heard)

    def boot(self, image: Image, source: Report, wanted: Sequence[Probe], live: Site | None) -> tuple[Path, Told]:
        """The copy's disk after a clean shutdown, and what was heard of it before."""
        file, hostname = image.file(), source.head.system.hostname
        with ExitStack() as running:
            with self.clock.stage("boot", 5, "Booting the copy"):
                digest = sha256(self.image / file.name)
                start = booted(self.image / file.name, driver(file.format), image.memory, self.work, hostname=hostname, forwards=probing.ports(wanted))
                machine = running.enter_context(start)
                seconds = machine.wait_for_agent()
            with self.clock.stage("ask", 45, "Asking the copy"):
                runtime, heard = questions.ask(machine)
                rows = [self._probe(probe, live, Booted(machine)) for probe in wanted]
                failed = _failed(live, runtime["failed_units"]) if live is not None else frozenset()
            machine.shut_down()
            transcript = self._transcript(machine)
            return machine.disk, Told({"agent_seconds": round(seconds, 1), **runtime}, heard, rows, failed, transcript, digest)

    def judge(self, image: Image, source: Report, disk: Path, heard: Told) -> Fidelity:
        """Read the disk of the copy, a qcow2, and say what follows from everything."""
        with root_of(disk, "qcow2", self.work) as root:
            with self.clock.stage("read", 70, "Reading the copy's disk"):
                copy = self._read(root)
            with self.clock.stage("compare", 90, "Comparing"):
                found = compare(source, copy)
                spoken = [*heard.witnesses, witnesses.of_tree(root), *witnesses.of_image(self.image, image.files, self.work)]
                if self.keep is not None:
                    kept.save(self.keep, copy)
        return conclude(image, source, copy.report, found, heard, spoken, self.clock.seconds)

    def _read(self, root: Path) -> Copy:
        folder = self.work / "copy"
        folder.mkdir()
        return kept.copy_of(self.image, read_tree(DirectoryTarget(root), folder, Silent()), Mounted(root))

    def _probe(self, probe: Probe, live: Site | None, copy: Site) -> dict[str, Any]:
        ours = probe.of(live) if live is not None else Answer(0, error="nobody said where the source is (--source)")
        return probing.row(probe, ours, probe.of(copy))

    def _transcript(self, machine: Machine) -> list[str]:
        run(["chmod", "a+r", str(machine.console)], root=True, check=False)
        lines = [_shown(line) for line in machine.console.read_bytes().decode(errors="replace").splitlines()]
        for line in lines:
            self.progress.log(f"console: {line}")
        return lines


def conclude(image: Image, source: Report, copy: Report, found: Comparison, heard: Told, spoken: list[Witness], seconds: dict[str, float]) -> Fidelity:
    """The fidelity report. Nothing is asked of any machine here: a check of the evidence comes through here again."""
    explained = {one.item: one.rule for one in found.differences if one.scope == "files" and one.rule}
    scope, rows = witnesses.judge(spoken, source, explained, heard.source_failed)
    found.include(witnesses.SCOPE, scope, rows)
    if heard.probes:
        found.include("probes", *probing.judge(heard.probes))
    found.include("image", *_booted(image, heard.image))
    return Fidelity(
        proven=Proven(source=source.head.target, scan_digest=source.head.digest, copy_digest=copy.head.digest, image=heard.image),
        scopes=found.scopes,
        differences=found.sorted(),
        excuses=found.excuses(),
        runtime={**heard.runtime, "problems": questions.problems(rows)},
        source_failed=sorted(heard.source_failed),
        probes=heard.probes,
        witnesses=spoken,
        transcript=heard.transcript,
        stages=seconds,
    )


def _booted(image: Image, digest: str) -> tuple[Scope, list[Difference]]:
    """Whether the file that was booted is the one that was built."""
    file = image.file()
    if digest == file.sha256:
        return Scope(equal=1), []
    return Scope(unexplained=1), [Difference(scope="image", item=file.name, what="another file than was built: build it again, or put it back", source=file.sha256, copy=digest)]


def _failed(live: Site, units: Sequence[str]) -> frozenset[str]:
    """Which of the units fail on the source as well; none where it has no systemd to ask."""
    answers = {unit: live.command(f"systemctl is-failed --quiet -- {shlex.quote(unit)}") for unit in units}
    return frozenset(unit for unit, answer in answers.items() if not answer.error and answer.status == 0)


def _shown(line: str) -> str:
    """A line of the console without what terminals take for orders."""
    return "".join(char for char in _ORDERS.sub("", line) if char.isprintable() or char == "\t")
