"""The proof: boot a throw-away copy, ask it, shut it down, read its disk, compare with the source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builders import probes as probing
from builders.explain import Explainer, listed_by
from builders.fidelity import Comparison, Copy, compare
from builders.image import Fidelity, Image, driver
from builders.machine import Machine, booted
from builders.probes import Answer, Probe
from builders.stages import Stages
from scanner.host.disks import root_of
from scanner.host.run import run
from scanner.progress import Progress, Silent
from scanner.report import Report
from scanner.scan import scan as read_tree
from scanner.targets.directory import DirectoryTarget


def verify(scan: Path, image: Path, work: Path, progress: Progress, *, probes: Sequence[str] = (), source: str = "") -> Fidelity:
    """Compare the machine that boots from the image in folder `image` with the scan in folder `scan`.

    `probes` are `http://:PORT/PATH` lines; each is run on the source (`source`: a target label such as `docker:web`, still running)
    and on the copy, and the bodies compared. Stages: `boot`, `ask`, `read`, `compare`.
    Raises `BootFailed`, `MissingTool`, `UserError`, `NotFound`, `Unreachable`, `Cancelled`.
    """
    wanted = probing.parse(probes)
    ports = {probe.port: probing.source_port(source, probe.port) for probe in wanted}
    return _Proof(scan, image, work, progress).run(wanted, ports)


@dataclass(slots=True)
class _Proof:
    scan: Path
    image: Path
    work: Path
    progress: Progress

    def run(self, wanted: Sequence[Probe], source_ports: dict[int, int]) -> Fidelity:
        told, source = Image.load(self.image), Report(self.scan)
        file = told.file()
        clock = Stages(self.progress)
        self.work.mkdir(parents=True, exist_ok=True)
        forwards = sorted({probe.port for probe in wanted})
        hostname = source.head.system.hostname
        with booted(self.image / file.name, driver(file.format), told.memory, self.work, hostname=hostname, forwards=forwards) as machine:
            with clock.stage("boot", 5, "Booting the copy"):
                seconds = machine.wait_for_agent()
            with clock.stage("ask", 45, "Asking the copy"):
                runtime = {"agent_seconds": round(seconds, 1), **ask(machine)}
                rows = [_probe(probe, source_ports[probe.port], machine.ports[probe.port]) for probe in wanted]
            self._transcript(machine)
            machine.shut_down()
        with root_of(machine.disk, "qcow2", self.work) as root:
            with clock.stage("read", 70, "Reading the copy's disk"):
                copy = self._read(root, told)
            with clock.stage("compare", 90, "Comparing"):
                result = self._compare(source, copy)
                witnesses = _witnesses(self.image / file.name, file.format, root)
        return Fidelity(
            scopes=result.scopes,
            differences=result.differences,
            excuses=result.excuses(),
            runtime=runtime,
            probes=rows,
            witnesses=witnesses,
            stages=clock.seconds,
        )

    def _read(self, root: Path, told: Image) -> Copy:
        folder = self.work / "copy"
        folder.mkdir()
        report = read_tree(DirectoryTarget(root), folder, Silent())
        translated = told.provenance.get("last_pass", {}).get("translated", {})
        return Copy(report, root, {addition.item for addition in told.additions}, translated, told.nearest)

    def _compare(self, source: Report, copy: Copy) -> Comparison:
        def link(path: str) -> str | None:
            try:
                return str(Path(f"{copy.root}{path}").readlink())
            except OSError:
                return None

        added = listed_by(copy.root, copy.added)
        return compare(source, copy, Explainer(added, link))

    def _transcript(self, machine: Machine) -> None:
        run(["chmod", "a+r", str(machine.console)], root=True, check=False)
        for line in machine.console.read_bytes().decode(errors="replace").splitlines():
            self.progress.log(f"console: {line}")


def ask(machine: Machine) -> dict[str, Any]:
    """The runtime questions: is it up, did a unit fail, what does cloud-init say. `problems` is empty when all is well."""
    _, state = machine.execute("/bin/systemctl", "is-system-running", "--wait", timeout=300)
    _, failed = machine.execute("/bin/systemctl", "--failed", "--plain", "--no-legend", "list-units")
    _, active = machine.execute("/bin/systemctl", "--state=active", "--type=service", "--plain", "--no-legend", "list-units")
    _, cloud = machine.execute("/usr/bin/cloud-init", "status", "--long", timeout=300)
    _, kernel = machine.execute("/bin/uname", "-r")
    failed_units = [line.split(" ")[0] for line in failed.splitlines() if line.strip()]
    status = next((line.partition(":")[2].strip() for line in cloud.splitlines() if line.startswith("status:")), "unknown")
    problems = [f"failed unit: {unit}" for unit in failed_units] + ([] if status == "done" else [f"cloud-init: {cloud.strip()}"])
    return {
        "state": state.strip(),
        "failed_units": failed_units,
        "active_services": [line.split(" ")[0] for line in active.splitlines() if line.strip()],
        "cloud_init": status,
        "kernel": kernel.strip(),
        "problems": problems,
    }


def _probe(probe: Probe, source_port: int, copy_port: int) -> dict[str, Any]:
    def source() -> Answer:
        return probing.ask(source_port, probe.path)

    def copy() -> Answer:
        return probing.ask_until(copy_port, probe.path)

    return probing.compared(probe, source, copy)


def _witnesses(image: Path, format: str, root: Path) -> dict[str, str]:
    """What tools that know nothing of Forgelet say of the image and of the copy's tree."""
    check = run(["qemu-img", "check", "-f", format, str(image)], check=False) if format == "qcow2" else None
    verified = run(["dpkg", f"--root={root}", "--verify"], root=True, check=False)
    said = {"dpkg --verify": verified.stdout.decode(errors="replace").strip() or "nothing differs"}
    if check:
        said["qemu-img check"] = (check.stdout + check.stderr).decode(errors="replace").strip().splitlines()[0]
    return said
