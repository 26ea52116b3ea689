"""Kinds of jobs: their states, the scarce things they take, and how one is run again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any, Protocol, TypeVar


class State(StrEnum):
    """queued -> running -> done | failed | cancelled; queued -> cancelled."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


ENDED = (State.DONE, State.FAILED, State.CANCELLED)

RESOURCE = {
    "scan": "scan",
    "build": "dib",
    "verify": "vm",
    "export": "archive",
    "import": "archive",
    "scan-import": "archive",
    "bundle-export": "archive",
    "bundle-import": "archive",
    "publish": "cloud",
    "provision": "cloud",
}
"""Kind of job -> the scarce thing that it holds while it runs."""

CAPACITY = {"scan": 2, "dib": 1, "vm": 1, "archive": 2, "cloud": 2}
"""How many jobs may hold a scarce thing at once."""


class Waiting(Protocol):
    """What the choice needs to know of a job."""

    @property
    def kind(self) -> str: ...


T = TypeVar("T", bound=Waiting)


def startable(queued: Iterable[T], running: Iterable[Waiting]) -> list[T]:
    """Which queued jobs may start now, oldest first, given what the running ones hold."""
    held = Counter(RESOURCE[job.kind] for job in running)
    chosen = []
    for job in queued:
        resource = RESOURCE[job.kind]
        if held[resource] < CAPACITY[resource]:
            held[resource] += 1
            chosen.append(job)
    return chosen


def again(kind: str, arguments: dict[str, Any]) -> str:
    """The command that runs such a job again."""
    if kind == "scan" and str(arguments["target"]).startswith("agent:"):
        return f"hammr scan run --ip ADDRESS --scan-login LOGIN --name '{arguments['name']}'{' --overlay' if arguments.get('overlay') else ''}"
    if kind == "scan":
        where = _where(str(arguments["target"]))
        overlay = (" --overlay" if arguments.get("overlay") else "") + (" --redact" if arguments.get("redact") else "")
        overlay += " --whole" if arguments.get("whole") else ""
        overlay += " --volumes" if arguments.get("volumes") else ""
        overlay += " --no-cache" if arguments.get("fresh") else ""
        return f"forgelet scan run {where} --name '{arguments['name']}'{overlay}"
    if kind in _TEMPLATES:
        return _TEMPLATES[kind].format(**arguments)
    if kind == "build" and "appliance" in arguments:
        return f"forgelet template build --id {arguments['appliance']} --file FILE"
    if kind == "build":
        return f"forgelet scan build --id {arguments['scan']} --file FILE"
    return f"forgelet image verify --id {arguments['image']}{_probes(arguments.get('probes', ()))}"


_TEMPLATES = {
    "export": "forgelet template export --id {appliance}",
    "import": "forgelet template import --file ARCHIVE",
    "bundle-export": "forgelet bundle export --id {bundle}",
    "bundle-import": "forgelet bundle import --file ARCHIVE",
    "scan-import": "forgelet scan import --id {scan} --name '{name}' --version '{version}'",
    "publish": "forgelet image publish --id {image} --account '{account}' --file FILE",
    "provision": "forgelet deploy create --publish-id {publication} --name '{name}' --flavor {flavor}",
}


def _where(target: str) -> str:
    scheme, _, rest = target.partition(":")
    if scheme == "ssh":
        user, _, place = rest.partition("@")
        host, _, port = place.rpartition(":")
        return f"--ip {host.strip('[]')} --scan-port {port} --scan-login {user}"
    if scheme == "directory":
        return f"--root {rest}"
    return f"--{scheme} {rest}".rstrip()


def _probes(probes: Sequence[str]) -> str:
    return "".join(f" --probe {probe}" for probe in probes)
