"""Take away what Forgelet made on this machine, and nothing else.

What is ours is known by a mark, never guessed: containers and images by the label `forgelet=1`, virtual machines by a name that
begins with `forgelet-`, and processes, mounts, loop devices and files by lying in a part of the data folder that Forgelet makes.
A service that is running on that folder is left running and the clean-up refused: only its user knows whether it may end.
"""

from __future__ import annotations

import fcntl
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from emulator.folders import SAVED, Folders
from emulator.lab.engine import OURS, docker_engine
from scanner.errors import ForgeletError, Unreachable, UserError
from scanner.host.engines import libvirt_connection
from scanner.host.sweep import give_back

MACHINES = "forgelet-"
"""How the names of our virtual machines begin."""
PARTS = (*SAVED, "snapshots", "trash", "tls", "lessons")
CACHE = "cache"
FILES = (*(f"{name}.db{end}" for name in ("forgelet", "journal") for end in ("", "-wal", "-shm")), "secrets.key", "clock.json", "ids.json", "lock", "service.log")
"""The parts of the data folder that are ours; anything else that lies in it stays."""


def clean(data: Path, *, keep_cache: bool = False) -> list[str]:
    """Take everything of ours away; answers in words what was found. Safe to repeat.

    With `keep_cache` the cached base disks and the images of the lab stay, so that the next build is quick.
    An engine that does not answer is passed over, and said so. Raises `UserError` while a service runs on `data`.
    """
    _refuse_while_served(Folders(data))
    done = _engine("docker", lambda: clean_docker(images=not keep_cache)) + _engine("libvirt", clean_libvirt)
    for part in (*PARTS, *(() if keep_cache else (CACHE,))):
        if (data / part).exists():
            done += [*give_back(data / part), f"removed {data / part}"]
    done += [f"removed {data / name}" for name in FILES if _unlink(data / name)]
    with suppress(OSError):
        data.rmdir()
    return done


def _engine(name: str, task: Callable[[], list[str]]) -> list[str]:
    try:
        return task()
    except Unreachable:
        return [f"{name} does not answer: what Forgelet may have there is left"]
    except ForgeletError as error:
        return [f"{name}: {error.message}"]


def clean_docker(*, images: bool = True) -> list[str]:
    """Remove the containers, and the images, that have our label. Raises `Unreachable`."""
    label: dict[str, str | list[str] | bool] = {"label": f"{OURS}=1"}
    done = []
    with docker_engine() as engine:
        for container in engine.containers.list(all=True, filters=label):
            container.remove(force=True, v=True)
            done.append(f"removed the container {container.name}")
        for image in engine.images.list(filters=label) if images else ():
            image.remove(force=True)
            done.append(f"removed the image {(image.tags or [image.short_id])[0]}")
    return done


def clean_libvirt() -> list[str]:
    """End and forget the virtual machines whose name is ours. Raises `Unreachable`."""
    connection = libvirt_connection()
    import libvirt

    try:
        ours = [domain for domain in connection.listAllDomains() if domain.name().startswith(MACHINES)]
        return [_forget(domain, libvirt) for domain in ours]
    finally:
        connection.close()


def _forget(domain: Any, libvirt: Any) -> str:
    name = domain.name()
    flags = libvirt.VIR_DOMAIN_UNDEFINE_NVRAM | libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
    flags |= libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA | libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
    # A transient machine is gone once it is destroyed; a stopped one cannot be destroyed.
    for step in (domain.destroy, lambda: domain.undefineFlags(flags)):
        with suppress(libvirt.libvirtError):
            step()
    return f"removed the virtual machine {name}"


def _refuse_while_served(folders: Folders) -> None:
    if not folders.lock.exists():
        return
    with folders.lock.open("rb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(
                f"a service is running on {folders.data}", hint="end it (Ctrl-C, or SIGTERM), then try again"
            ) from error


def _unlink(path: Path) -> bool:
    there = path.exists()
    path.unlink(missing_ok=True)
    return there
