"""The way into a live system that is to be drifted: a container of the lab, by docker exec."""

from __future__ import annotations

from emulator.lab.container import find_container
from emulator.lab.drift.record import Shell
from emulator.lab.engine import docker_engine
from scanner.errors import NotFound, UserError
from scanner.host.run import run

PREFIX = "docker:"


def shell_of(target: str) -> Shell:
    """The shell of `NAME` or `docker:NAME`, a running container of the lab: nobody else's system is changed.

    Raises `NotFound`, `UserError`, `Unreachable`; the shell raises `CommandFailed`.
    """
    name = target.removeprefix(PREFIX)
    with docker_engine() as engine:
        found = find_container(engine, name)
        if found is None:
            raise NotFound(f"the live system '{name}' is not up", hint="forgelet lab list")
        if found.status != "running":
            raise UserError(f"the live system '{name}' does not run ({found.status})", hint=f"docker start {name}")

    def shell(script: bytes) -> bytes:
        return run(["docker", "exec", "--interactive", name, "sh"], data=script).stdout

    return shell
