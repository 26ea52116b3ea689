"""The lab: live systems to practise on, put up, listed and taken down."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from emulator.lab.container import ensure_container, find_container
from emulator.lab.engine import OURS, SYSTEM, docker_engine
from emulator.lab.image import ensure_image
from emulator.lab.system import find_system, system_names
from scanner.errors import NotFound
from scanner.host.mirrors import Mirrors
from scanner.progress import Progress

if TYPE_CHECKING:
    from docker.models.containers import Container


@dataclass(frozen=True)
class LiveSystem:
    """A live system of the lab as the engine shows it. `name` is its container's, `status` Docker's or `absent`."""

    name: str
    system: str
    summary: str
    status: str
    image: str = ""
    container: str = ""
    ports: tuple[tuple[int, str], ...] = ()
    """(port inside, `127.0.0.1:port` outside)"""

    @property
    def url(self) -> str:
        """Its page, from this machine; "" when port 80 is not published."""
        return next((f"http://{outside}/" for inside, outside in self.ports if inside == 80), "")


def lab_up(system: str, mirrors: Mirrors, work: Path, progress: Progress, *, name: str = "") -> LiveSystem:
    """Put up a live system: built when its recipe is new, started when it is not running, else as it is.

    `system` names the recipe, `name` the container (as the recipe unless given); `mirrors` is where its packages come
    from; `work` is a folder for temporary files: two calls with the same one wait for each other.
    Raises `NotFound`, `UserError` (a foreign container has the name), `Unreachable`, `StepFailed`.
    """
    recipe, name = find_system(system), name or system
    with docker_engine() as engine, _one_at_a_time(work):
        find_container(engine, name)
        image = ensure_image(engine, recipe, mirrors, work, progress)
        container = ensure_container(engine, recipe, name, image, progress)
        container.reload()
        return _shown(container)


def lab_list() -> list[LiveSystem]:
    """Every live system that was put up, then every one that could be. Raises `Unreachable`."""
    with docker_engine() as engine:
        there = sorted((_shown(c) for c in engine.containers.list(all=True, filters=_labels())), key=lambda s: s.name)
    up = {system.system for system in there}
    return [*there, *(LiveSystem(n, n, find_system(n).summary, "absent") for n in system_names() if n not in up)]


def lab_down(name: str, *, image: bool = False) -> None:
    """Take the container `name` away; with `image` also every image of its system, so that the next `up` builds anew.

    Raises `NotFound` when there is neither, `UserError` (a foreign container has the name), `Unreachable`.
    """
    with docker_engine() as engine:
        container = find_container(engine, name)
        system = container.labels[SYSTEM] if container else name
        images = engine.images.list(filters=_labels(system)) if image else []
        if container is None and not images:
            raise NotFound(f"the live system '{name}' is not up", hint="forgelet lab list")
        if container is not None:
            container.remove(force=True, v=True)
        for built in images:
            built.remove(force=True)


def _labels(system: str = "") -> dict[str, str | list[str] | bool]:
    return {"label": [f"{OURS}=1", f"{SYSTEM}={system}" if system else SYSTEM]}


def _shown(container: Container) -> LiveSystem:
    system = container.labels[SYSTEM]
    published = container.attrs["NetworkSettings"].get("Ports") or {}
    ports = sorted((int(inside.split("/")[0]), binding[0]) for inside, binding in published.items() if binding)
    return LiveSystem(
        name=container.name or "",
        system=system,
        summary=find_system(system).summary if system in system_names() else "",
        status=container.status,
        image=container.attrs["Config"]["Image"],
        container=container.id or "",
        ports=tuple((inside, f"{binding['HostIp']}:{binding['HostPort']}") for inside, binding in ports),
    )


@contextmanager
def _one_at_a_time(work: Path) -> Iterator[None]:
    work.mkdir(parents=True, exist_ok=True)
    with (work / "lab.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
