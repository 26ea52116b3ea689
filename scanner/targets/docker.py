"""A container of the Docker engine, running or not.

On a local engine the agent runs here: a running container is read through `/proc/PID/root`, which is its own view of its tree; of a
stopped one the layers are mounted read-only, as the engine would lay them over one another. Both show ACLs, attributes, holes and
exact times, and nothing has to run inside, so a container without Python or a shell is read as well. What neither can reach (an
engine elsewhere, another storage driver) is read from the engine's archive stream; what that cannot carry is a blind spot.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from scanner.errors import NotFound, StepFailed, Unreachable, UserError
from scanner.host.engines import docker_client
from scanner.host.run import run
from scanner.report import Container, ContainerMount
from scanner.targets import agent, export, layers
from scanner.targets.agent import Place
from scanner.targets.programs import run_within
from scanner.targets.scratch import scratch

if TYPE_CHECKING:
    import docker

PREFIX = "docker:"
KEPT = ("volume", "bind")
"""Kinds of mounts that have contents of their own; tmpfs has none that last."""


class DockerTarget:
    """`docker:NAME`, by name or id. `volumes`: the contents of volumes and bind mounts are part of the scan."""

    def __init__(self, name: str, *, work: Path | None = None, volumes: bool = False) -> None:
        self._name = name
        self._work = work
        self._volumes = volumes

    @property
    def label(self) -> str:
        return PREFIX + self._name

    def facts(self) -> Container | None:
        """Raises `NotFound`, `Unreachable`."""
        return container(self._inspect())

    @contextmanager
    def inventory(self, excludes: Sequence[str], known: Path | None = None) -> Iterator[BinaryIO]:
        with self._place() as place, agent.inventory(place, excludes, known) as stream:
            yield stream

    @contextmanager
    def capture(self, paths: Path) -> Iterator[BinaryIO]:
        with self._place() as place, agent.capture(place.root, paths, as_root=True) as stream:
            yield stream

    def execute(self, argv: Sequence[str], timeout: float = 60.0) -> tuple[int, bytes]:
        """Run a program in the container as root: exit status and output. Raises `UserError` when it does not run, `StepFailed`."""
        found = self._running()
        command = ["docker", "exec", "--user", "0", "--workdir", "/", found["Id"], *argv]
        return run_within(command, timeout, self.label)

    def from_its_network(self, argv: Sequence[str], timeout: float = 60.0) -> tuple[int, bytes]:
        """As `execute`, but this machine's own Python, with nothing of the container's but its network. Raises `NotFound` too."""
        found = self._running()
        if not process_root(found):
            raise NotFound(f"the processes of {self.label} are on another machine, and so is its network", hint="publish the port on 127.0.0.1")
        command = ["nsenter", "--target", str(int(found["State"]["Pid"])), "--net", "--", sys.executable, "-I", "-S", *argv]
        return run_within(command, timeout, self.label, root=True)

    def _running(self) -> dict[str, Any]:
        found = self._inspect()
        if not runs(found):
            raise UserError(f"the container '{self._name}' does not run", hint=f"docker start {self._name}")
        return found

    def _place(self) -> AbstractContextManager[Place]:
        found = self._inspect()
        if runs(found):
            root = process_root(found)
            if root:
                cross = [one["Destination"] for one in kept(found)] if self._volumes else []
                return _at(Place(root, cross=cross))
        elif layers.here(found):
            return self._layers(found)
        return self._export(found)

    @contextmanager
    def _layers(self, found: dict[str, Any]) -> Iterator[Place]:
        with scratch(self._work) as work, layers.mounted(found, kept(found), work, volumes=self._volumes) as place:
            yield place

    @contextmanager
    def _export(self, found: dict[str, Any]) -> Iterator[Place]:
        with scratch(self._work) as work, engine() as client:
            yield export.unpacked(client.containers.get(found["Id"]), kept(found), work, volumes=self._volumes)

    def _inspect(self) -> dict[str, Any]:
        with engine() as client:
            import docker.errors

            try:
                found: dict[str, Any] = client.containers.get(self._name).attrs
            except docker.errors.NotFound as error:
                names = ", ".join(sorted(str(one.name) for one in client.containers.list(all=True))) or "none"
                raise NotFound(f"there is no container '{self._name}'; known: {names}", hint="forgelet scan targets") from error
        return found


@contextmanager
def _at(place: Place) -> Iterator[Place]:
    yield place


@contextmanager
def engine() -> Iterator[docker.DockerClient]:
    """A client of the engine that the environment names, closed at the end. Raises `Unreachable`, `StepFailed`."""
    client = docker_client(timeout=30)
    import docker.errors
    import requests

    try:
        yield client
    except docker.errors.NotFound:
        raise
    except docker.errors.APIError as error:
        raise StepFailed(f"the Docker engine refused: {error.explanation or error}", hint="forgelet scan targets") from error
    except requests.RequestException as error:
        raise Unreachable(f"the connection to the Docker engine was lost: {error}", hint="nothing of the scan was kept; run it again") from error
    finally:
        client.close()


def runs(found: dict[str, Any]) -> bool:
    """Whether the container has processes (a paused one has)."""
    return bool(found["State"]["Running"] and found["State"]["Pid"])


def process_root(found: dict[str, Any]) -> str:
    """The root of the container's first process as this machine sees it; empty when that process is not on this machine.

    Its number alone says nothing: the engine may count on another machine. Its control groups or mounts name the container.
    """
    process = Path(f"/proc/{int(found['State']['Pid'])}")
    told = run(["cat", str(process / "cgroup"), str(process / "mountinfo")], root=True, check=False).stdout
    return f"{process}/root" if found["Id"].encode() in told else ""


def kept(found: dict[str, Any]) -> list[dict[str, Any]]:
    """The mounts that can be captured, outer ones first."""
    return sorted((one for one in found.get("Mounts") or [] if one["Type"] in KEPT), key=lambda one: str(one["Destination"]))


def container(found: dict[str, Any]) -> Container:
    """The engine's answer to inspect (Engine API, ContainerInspect) as facts of a report."""
    config = found["Config"]
    return Container(
        id=found["Id"],
        image=config["Image"],
        entrypoint=_words(config.get("Entrypoint")),
        command=_words(config.get("Cmd")),
        environment=dict(line.partition("=")[::2] for line in config.get("Env") or []),
        working_dir=config.get("WorkingDir") or "",
        user=config.get("User") or "",
        ports=sorted({*(config.get("ExposedPorts") or {}), *(found["NetworkSettings"].get("Ports") or {})}),
        published=_published(found["NetworkSettings"].get("Ports") or {}),
        volumes=sorted(mount["Destination"] for mount in found.get("Mounts") or []),
        mounts=[_mount(one) for one in sorted(found.get("Mounts") or [], key=lambda one: str(one["Destination"]))],
        restart=_restart(found["HostConfig"].get("RestartPolicy") or {}),
        labels=config.get("Labels") or {},
    )


def _mount(one: dict[str, Any]) -> ContainerMount:
    return ContainerMount(
        type=one["Type"],
        name=one.get("Name") or "",
        source=one.get("Source") or "",
        target=one["Destination"],
        read_only=not one.get("RW", True),
    )


def _restart(policy: dict[str, Any]) -> str:
    name, most = policy.get("Name") or "", policy.get("MaximumRetryCount") or 0
    return f"{name}:{most}" if name == "on-failure" and most else name


def _words(value: list[str] | str | None) -> list[str]:
    return [value] if isinstance(value, str) else list(value or [])


def _published(ports: dict[str, list[dict[str, str]] | None]) -> dict[str, int]:
    """The ports that this machine's loopback answers for."""
    reached = {}
    for port, bindings in ports.items():
        for binding in bindings or []:
            if binding["HostIp"] in ("127.0.0.1", "0.0.0.0", ""):
                reached[port] = int(binding["HostPort"])
    return reached
