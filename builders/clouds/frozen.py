"""Instances of the local cloud as files: kept while they stand still for a moment, and made to run again from what was kept.

What is kept is the disk, as after a power cut: what the instance had in memory is not. A machine that was running boots again.
"""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from builders.clouds.base import InstanceState
from builders.clouds.catalogue import Catalogue
from builders.clouds.local import FLAVORS, PREFIX, LocalCloud, Machine, _libvirt, _state
from builders.errors import CloudRefused
from builders.image import driver
from scanner.errors import ForgeletError
from scanner.host.run import run

STATES = "states.json"
"""Beside the kept instances: which of them were running."""


def machines(home: Path) -> list[Machine]:
    """The instances in a cloud's folder."""
    return [Machine.model_validate_json(file.read_bytes()) for file in sorted((home / "instances").glob("[!.]*/instance.json"))]


def keep(home: Path, into: Path) -> dict[str, str]:
    """Copy every instance of the cloud `home` into the folder `into`; number -> `running` or `stopped`. Raises `CloudRefused`, `Unreachable`."""
    found = machines(home)
    unready = [one.name for one in found if not one.ready]
    if unready:
        raise CloudRefused(f"instances are still being made: {', '.join(unready)}", hint="wait for them: forgelet job list")
    states: dict[str, str] = {}
    into.mkdir(parents=True, mode=0o700)
    for one in found:
        running = _state(one.id)[0] is InstanceState.ACTIVE
        states[one.id] = "running" if running else "stopped"
        with _still(one.id) if running else _as_it_is():
            run(["cp", "-a", "--sparse=always", "--reflink=auto", "--", str(home / "instances" / one.id), str(into / one.id)], root=True)
    (into / STATES).write_text(json.dumps(states, indent=1), encoding="utf-8")
    return states


@contextmanager
def _still(number: str) -> Iterator[None]:
    """The machine is paused meanwhile: QEMU has then written everything that the guest handed to its disk."""
    import libvirt

    with _libvirt() as connection:
        try:
            domain = connection.lookupByName(f"{PREFIX}{number}")
            domain.suspend()
        except libvirt.libvirtError as error:
            raise CloudRefused(f"instance {number} cannot be paused: {error}", hint="forgelet deploy list") from error
        try:
            yield
        finally:
            with suppress(libvirt.libvirtError):
                domain.resume()


@contextmanager
def _as_it_is() -> Iterator[None]:
    yield


def obstacles(kept: Path, home: Path) -> list[str]:
    """Why the instances kept in the folder `kept` could not run here now; those of `home` will be gone by then."""
    ours = {port for one in machines(home) for port in one.ports.values()}
    wanted = [Machine.model_validate_json(file.read_bytes()) for file in sorted(kept.glob("*/instance.json"))]
    return [f"instance {one.name}: port {port} of 127.0.0.1 is taken" for one in wanted for port in one.ports.values() if port not in ours and _taken(port)]


def _taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def revive(home: Path, kept: Path) -> dict[str, str]:
    """Bring the instances kept in `kept` into the cloud `home`, and start those that ran; number -> `running`, `stopped`, or why it is not.

    Their images must be in the catalogue; nothing of the instances may be left from before.
    """
    states: dict[str, str] = json.loads((kept / STATES).read_bytes())
    told: dict[str, str] = {}
    (home / "instances").mkdir(parents=True, exist_ok=True, mode=0o700)
    for number, state in states.items():
        run(["cp", "-a", "--sparse=always", "--reflink=auto", "--", str(kept / number), str(home / "instances" / number)], root=True)
        try:
            _define(home, number, start=state == "running")
            told[number] = state
        except (ForgeletError, OSError) as error:
            told[number] = f"not running: {error}"
    return told


def _define(home: Path, number: str, *, start: bool) -> None:
    folder = home / "instances" / number
    machine = Machine.model_validate_json((folder / "instance.json").read_bytes())
    image = Catalogue(home / "images").find(machine.image, machine.tenant)
    backing = str((home / "images" / image.id / "disk").resolve())
    # On another machine, or in another folder, the image lies elsewhere; its contents are the same.
    run(["qemu-img", "rebase", "-u", "-F", driver(image.format), "-b", backing, str(folder / "disk.qcow2")], root=True)
    flavor = next(one for one in FLAVORS if one.name == machine.flavor)
    LocalCloud(home, machine.tenant).bring_up(machine, flavor, start=start)


def discard(folder: Path) -> None:
    """Remove kept instances; parts of them are root's."""
    run(["rm", "-rf", "--", str(folder)], root=True)
    shutil.rmtree(folder, ignore_errors=True)


