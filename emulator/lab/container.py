"""A running container of a live system: made, dressed with what image layers cannot hold, its services started."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from emulator.lab.engine import OURS, RECIPE, SYSTEM
from emulator.lab.system import LabSystem, Process
from scanner.errors import StepFailed, UserError
from scanner.host import clock
from scanner.progress import Progress

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

READY_WITHIN = 30.0
"""Seconds that a service of a live system may take to accept connections."""


def find_container(engine: DockerClient, name: str) -> Container | None:
    """The lab's container called `name`; None when there is none. Raises `UserError` when it is somebody else's."""
    from docker.errors import NotFound

    try:
        found = engine.containers.get(name)
    except NotFound:
        return None
    if found.labels.get(OURS) != "1" or SYSTEM not in found.labels:
        raise UserError(
            f"the container '{name}' was not made by Forgelet and is left alone",
            hint=f"docker rename {name} another-name, then try again",
        )
    return found


def ensure_container(engine: DockerClient, system: LabSystem, name: str, image: str, progress: Progress) -> Container:
    """The running container `name` of `system`: the one that is there when its recipe is the same, else a new one."""
    found = find_container(engine, name)
    if found is not None and found.labels.get(RECIPE) != image.rpartition(":")[2]:
        progress.stage("remove", "its recipe changed: the old container goes")
        found.remove(force=True)
        found = None
    if found is None:
        return _create(engine, system, name, image, progress)
    if found.status != "running":
        found.start()
        found.exec_run(["mkdir", "-p", "/run/sshd"])
    _start_services(found, system)
    return found


def _create(engine: DockerClient, system: LabSystem, name: str, image: str, progress: Progress) -> Container:
    progress.stage("start", "starting the container")
    container = engine.containers.create(
        image,
        command=list(system.command),
        name=name,
        hostname=name,
        ports={f"{port}/tcp": ("127.0.0.1", 0) for port in system.ports},
        labels={OURS: "1", SYSTEM: system.name, RECIPE: image.rpartition(":")[2]},
    )
    with _or_not_at_all(container):
        container.start()
        progress.stage("dress", "what image layers cannot hold: ACLs, extended attributes, holes")
        _output(container, ["sh", "-c", system.live_steps], check=True)
        _start_services(container, system)
    return container


@contextmanager
def _or_not_at_all(container: Container) -> Iterator[None]:
    """No half-made container stays behind, whatever interrupts its making."""
    try:
        yield
    except BaseException:
        container.remove(force=True)
        raise


def _start_services(container: Container, system: LabSystem) -> None:
    for process in system.processes:
        if not _accepts(container, process.port):
            container.exec_run(list(process.argv), user=process.user, detach=True)
    for process in system.processes:
        _wait_for(container, process)


def _wait_for(container: Container, process: Process) -> None:
    deadline = clock.monotonic() + READY_WITHIN
    while not _accepts(container, process.port):
        if clock.monotonic() > deadline:
            raise StepFailed(
                f"'{process.argv[0]}' does not accept connections on port {process.port} of {container.name}",
                hint=f"docker exec {container.name} {' '.join(process.argv)}",
            )
        clock.sleep(0.1)


def _accepts(container: Container, port: int) -> bool:
    """Whether something inside listens on `port`: from /proc/net/tcp (state 0A), so no log sees a connection."""
    table = _output(container, ["cat", "/proc/net/tcp", "/proc/net/tcp6"])
    rows = [line.split() for line in table.splitlines()]
    return any(len(row) > 3 and row[3] == "0A" and row[1].endswith(f":{port:04X}") for row in rows)


def _output(container: Container, argv: list[str], *, check: bool = False) -> str:
    """What `argv` says inside, both streams. Raises `StepFailed` when `check` is set and it fails."""
    status, output = container.exec_run(argv)
    assert isinstance(output, bytes)
    said = output.decode(errors="replace").strip()
    if check and status:
        last = said.splitlines()[-1:] or ["no output"]
        raise StepFailed(f"a step inside {container.name} failed: {last[0]}", hint="forgelet doctor")
    return said
