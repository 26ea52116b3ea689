"""What could be scanned now: the containers of the Docker engine and the domains of libvirt, each with how it would be read, or why not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from scanner.errors import ForgeletError

Row = dict[str, Any]
"""`target` (the label that a scan takes), `kind`, `name`, `state`, `scannable`, `way` (how it is read) or `reason` (why not)."""
Lister = Callable[[], list[Row]]


def containers() -> list[Row]:
    """The engine's containers. Raises `Unreachable`, `StepFailed`."""
    from scanner.targets import docker

    with docker.engine() as engine:
        found = engine.api.containers(all=True)
    return [_container(one["Names"][0].lstrip("/"), one["State"]) for one in found]


def _container(name: str, state: str) -> Row:
    way = "its processes' view" if state in ("running", "paused") else "its layers"
    return _row("docker", name, state, way, "it is being removed" if state in ("removing", "dead") else "")


def domains() -> list[Row]:
    """libvirt's domains. Raises `Unreachable`, `StepFailed`."""
    from scanner.errors import StepFailed
    from scanner.host.engines import libvirt_connection

    connection = libvirt_connection()
    import libvirt

    try:
        return [_domain(one) for one in connection.listAllDomains()]
    except libvirt.libvirtError as error:
        raise StepFailed(f"libvirt refused: {error}", hint="virsh list --all") from error
    finally:
        connection.close()


def _domain(found: Any) -> Row:
    from scanner.targets import domain
    from scanner.targets.libvirt import OFF, RUNNING, state_of

    state = state_of(found)
    if state in RUNNING:
        reason = "" if domain.agent_answers(found.XMLDesc(0)) else "no guest agent answers in it"
        return _row("libvirt", found.name(), state, "its guest agent", reason)
    return _row("libvirt", found.name(), state, "its disks", "" if state in OFF else f"it is {state}")


def _row(kind: str, name: str, state: str, way: str, reason: str) -> Row:
    return {
        "target": f"{kind}:{name}",
        "kind": kind,
        "name": name,
        "state": state,
        "scannable": not reason,
        "way": "" if reason else way,
        "reason": reason,
    }


LISTERS: tuple[tuple[str, Lister], ...] = (("docker", containers), ("libvirt", domains))


def targets(listers: Sequence[tuple[str, Lister]] = LISTERS) -> tuple[list[Row], list[Row]]:
    """What every engine holds, by label, and the engines that do not answer: `kind`, `reason`, `hint`."""
    with ThreadPoolExecutor(max_workers=len(listers)) as pool:
        asked = [(kind, pool.submit(lister)) for kind, lister in listers]
    found: list[Row] = []
    silent: list[Row] = []
    for kind, future in asked:
        try:
            found += future.result()
        except ForgeletError as error:
            silent.append({"kind": kind, "reason": error.message, "hint": error.hint})
    return sorted(found, key=lambda row: (not row["scannable"], row["target"])), silent
