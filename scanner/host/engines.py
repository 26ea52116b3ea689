"""The engines of this machine, opened. Their Python libraries are extras of the distribution, and are loaded when first used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from scanner.errors import MissingTool, Unreachable

if TYPE_CHECKING:
    from docker import DockerClient

LIBVIRT = "qemu:///system"


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Around an import: `MissingTool` says how to install the extra `name` where it lacks."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingTool(f"the Python module '{error.name}' is not installed", hint=f"pip install 'forgelet[{name}]'") from error


def docker_client(timeout: int) -> DockerClient:
    """A client of the engine that the environment names, which waits `timeout` seconds for an answer; whoever asks for it closes it. Raises `Unreachable`."""
    with extra("docker"):
        import docker

    try:
        return docker.from_env(timeout=timeout)
    except docker.errors.DockerException as error:
        raise Unreachable(f"the Docker engine does not answer: {error}", hint="start it (dockerd), then forgelet doctor") from error


def libvirt_connection() -> Any:
    """A connection to this machine's libvirt (`libvirt.virConnect`); whoever asks for it closes it. Raises `Unreachable`."""
    with extra("libvirt"):
        import libvirt

    # What goes wrong is told by exceptions; the library would print it as well.
    libvirt.registerErrorHandler(lambda _context, _error: None, None)
    try:
        return libvirt.open(LIBVIRT)
    except libvirt.libvirtError as error:
        raise Unreachable(f"libvirt does not answer at {LIBVIRT}: {error}", hint="start libvirtd, then: forgelet doctor") from error
