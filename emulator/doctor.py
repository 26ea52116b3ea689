"""Whether this machine can do the main job: every prerequisite, what is missing, and the command that brings it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from emulator.machine import Machine
from emulator.prerequisites import DISK_GIB, DOCKER_PACKAGES, LIBVIRT_PACKAGES, PROGRAMS, PYTHON
from scanner.errors import ForgeletError, MissingTool


@dataclass(frozen=True)
class Finding:
    """One prerequisite. `found` says what is there or what is wrong; `remedy` is the command that mends it."""

    name: str
    ok: bool
    needed: bool
    found: str
    remedy: str = ""

    @property
    def verdict(self) -> str:
        """`ok`, `missing` (the main job cannot run) or `warning` (an extra is missing)."""
        return "ok" if self.ok else "missing" if self.needed else "warning"


@dataclass(frozen=True)
class Diagnosis:
    """Every finding, in the order in which it makes sense to mend them."""

    findings: tuple[Finding, ...]

    @property
    def fit(self) -> bool:
        """Whether the main job can run."""
        return all(finding.ok for finding in self.findings if finding.needed)

    @property
    def remedies(self) -> list[str]:
        """The commands that mend what is wrong, each once; packages are gathered into one."""
        said = [finding.remedy for finding in self.findings if not finding.ok and finding.remedy]
        installs = sorted({word for line in said if line.startswith(_APT) for word in line.removeprefix(_APT).split()})
        others = [line for line in dict.fromkeys(said) if not line.startswith(_APT)]
        return [*([_APT + " ".join(installs)] if installs else []), *others]


_APT = "apt-get install -y "


def examine(machine: Machine, data: Path) -> Diagnosis:
    """Ask `machine` about every prerequisite; `data` is the folder that images will lie in. Raises nothing."""
    return Diagnosis(tuple(_findings(machine, data)))


def _findings(machine: Machine, data: Path) -> Iterator[Finding]:
    yield _python(machine)
    yield _asked("root's rights", machine.rights, "run as root, or allow sudo without a password")
    for program in PROGRAMS:
        there = machine.program(program.name)
        found = "installed" if there else f"not installed: {program.why}"
        yield _finding(program.name, there, found, _APT + " ".join(program.packages), needed=program.needed)
    yield _asked("disk-image-create", machine.disk_image_create, "pip install diskimage-builder")
    yield _engine("docker", machine, machine.docker, "dockerd", DOCKER_PACKAGES)
    yield _engine("libvirt", machine, machine.libvirt, "libvirtd", LIBVIRT_PACKAGES)
    yield _asked("loop devices", machine.loop, "modprobe loop (inside a container: start it with --privileged)")
    fuse = machine.device("/dev/fuse")
    yield _finding("/dev/fuse", fuse, "there" if fuse else "not there", "modprobe fuse")
    yield _space(machine, data)


def _finding(name: str, ok: bool, found: str, remedy: str, *, needed: bool = True) -> Finding:
    return Finding(name, ok, needed, found, "" if ok else remedy)


def _python(machine: Machine) -> Finding:
    version, oldest = machine.python(), ".".join(map(str, PYTHON))
    remedy = f"install Python {oldest} or newer, then make demo"
    return _finding("python", version >= PYTHON, ".".join(map(str, version)), remedy)


def _asked(name: str, question: Callable[[], str], remedy: str) -> Finding:
    try:
        return _finding(name, True, question(), remedy)
    except MissingTool as error:
        return _finding(name, False, error.message, error.hint)
    except ForgeletError as error:
        return _finding(name, False, error.message, remedy)


def _engine(
    name: str, machine: Machine, question: Callable[[], str], daemon: str, packages: tuple[str, ...]
) -> Finding:
    """An engine that does not answer is either not installed or not running; the remedy is not the same."""
    remedy = "make engines" if machine.program(daemon) else _APT + " ".join(packages)
    return _asked(f"{name} engine", question, remedy)


def _space(machine: Machine, data: Path) -> Finding:
    free = machine.free_gib(data)
    remedy = f"free {DISK_GIB} GiB, or set FORGELET_DATA"
    return _finding("disk space", free >= DISK_GIB, f"{free:.0f} GiB free for {data}", remedy, needed=False)
