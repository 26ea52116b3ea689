"""Live systems by label."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from scanner.errors import UserError

if TYPE_CHECKING:
    from scanner.targets.access import Access
    from scanner.targets.base import Target

HINT = "use docker:NAME, libvirt:NAME, ssh:USER@HOST:PORT, local or directory:PATH"


def open_target(
    label: str,
    access: Access | None = None,
    log: Callable[[str], None] = lambda line: None,
    *,
    work: Path | None = None,
    volumes: bool = False,
) -> Target:
    """The live system that a label names: `docker:NAME`, `libvirt:NAME`, `ssh:USER@HOST:PORT`, `local`, `directory:PATH`.

    `access` is what opens it, where something must; `log` hears what is worth knowing of the way there. What has to be mounted goes
    below `work`, which the caller sweeps; without it, below a temporary folder. `volumes`: of a container, with the contents of its
    volumes. What is opened and has a `close` must be closed (`opened` does). Raises `UserError` for a label that names none, and for
    an access or volumes that nothing has.
    """
    kind, _, name = label.partition(":")
    if kind == "ssh" and name:
        from scanner.targets.access import Access
        from scanner.targets.ssh import SshTarget

        return SshTarget(name, access or Access(), log=log)
    if access is not None:
        raise UserError(f"'{label}' is reached without a login", hint="password, key and the like are for --ip only")
    if volumes and kind != "docker":
        raise UserError(f"'{label}' has no volumes", hint="--volumes is for --docker only")
    return _here(kind, name, label, work, volumes)


def _here(kind: str, name: str, label: str, work: Path | None, volumes: bool) -> Target:
    """What this machine and its engines hold."""
    if kind == "docker" and name:
        from scanner.targets.docker import DockerTarget

        return DockerTarget(name, work=work, volumes=volumes)
    if kind == "libvirt" and name:
        from scanner.targets.libvirt import LibvirtTarget

        return LibvirtTarget(name, work=work)
    if kind == "directory" and name:
        from scanner.targets.directory import DirectoryTarget

        return DirectoryTarget(Path(name))
    if label == "local":
        from scanner.targets.local import LocalTarget

        return LocalTarget()
    raise UserError(f"'{label}' names no live system", hint=HINT)


@contextmanager
def opened(target: Target) -> Iterator[Target]:
    """The target, closed at the end where it can be."""
    try:
        yield target
    finally:
        getattr(target, "close", lambda: None)()
