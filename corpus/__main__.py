"""Run cases of the corpus: `python -m corpus [CASE …]`, by the command line against the service at FORGELET_URL. Exit code 4 when one differs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from builders.errors import BootFailed
from builders.machine import AGENT_DEADLINE, Machine, booted
from corpus.cases import Case, cases, record
from emulator.lab.drift.generate import drift
from scanner.host import clock

SPEC = """builders:
- type: openstack
  hardwareSettings: {memory: 1024}
  installation: {diskSize: 3000}
  packages: exact
"""
PASSWORD = "forgelet"
"""Of root on the lab's systems that have sshd."""
BUSY = ("/etc", "/srv", "/opt", "/home", "/root", "/var/www")
"""Where a running machine is changed; elsewhere it writes by itself."""


class CaseFailed(Exception):
    """A command of the case ended otherwise than it should."""


def forgelet(*words: str, ends: tuple[int, ...] = (0,)) -> str:
    """Standard output of one command. Raises `CaseFailed`."""
    environment = {**os.environ, "FORGELET_SCAN_PASSWORD": PASSWORD}
    done = subprocess.run([sys.executable, "-m", "cli.main", *words], stdout=subprocess.PIPE, text=True, env=environment, check=False)
    if done.returncode not in ends:
        raise CaseFailed(f"forgelet {' '.join(words)} ended with {done.returncode}")
    return done.stdout


def asked(*words: str, ends: tuple[int, ...] = (0,)) -> Any:
    return json.loads(forgelet(*words, "-o", "json", ends=ends))


@contextmanager
def live(case: Case) -> Iterator[list[str]]:
    """The live system of the case; the words of `scan run` that reach it. Taken down at the end."""
    if case.route == "libvirt":
        with machine(case) as name:
            yield ["--libvirt", name]
        return
    name = f"corpus-{case.name}"
    told = asked("lab", "up", case.system, "--name", name)
    try:
        if case.drift:
            forgelet("lab", "drift", name, "--seed", str(case.drift["seed"]), "--count", str(case.drift["count"]))
        if case.route == "ssh":
            host, _, port = told["ports"]["22"].rpartition(":")
            yield ["--ip", host, "--scan-port", port, "--scan-login", "root", "--accept-new-host-key"]
        else:
            yield ["--docker", name]
    finally:
        forgelet("lab", "down", name)


@contextmanager
def machine(case: Case) -> Iterator[str]:
    """The machine that starts from the newest image of the case `of`, changed at random where the case says so."""
    made = [one for one in asked("image", "list")["images"]["image"] if one["name"] == case.of]
    if not made:
        raise CaseFailed(f"there is no image of {case.of}: run that case first")
    image = asked("image", "show", "--id", str(made[-1]["dbId"]))
    with tempfile.TemporaryDirectory(prefix="forgelet-corpus-") as work:
        disk = Path(image["folder"]) / image["files"][0]["name"]
        with booted(disk, image["files"][0]["format"], 1024, Path(work), hostname="vm12") as guest:
            guest.wait_for_agent()
            guest.execute("/bin/systemctl", "is-system-running", "--wait", timeout=300)
            if case.drift:
                drift(shell_in(guest), guest.name, case.drift["seed"], case.drift["count"], BUSY)
                _restart(guest)
            guest.execute("/bin/sync")
            yield guest.name


def _restart(guest: Machine) -> None:
    """What was changed may keep a service from starting: on the source, too, which shows that only when it starts again."""
    def started() -> str:
        return guest.execute("/bin/cat", "/proc/sys/kernel/random/boot_id")[1]

    before = started()
    guest.execute("/bin/systemctl", "reboot", "--no-block")
    deadline = time.monotonic() + AGENT_DEADLINE
    while True:
        with suppress(BootFailed):
            if started() != before:
                break
        if time.monotonic() > deadline:
            raise CaseFailed("the machine did not come up again after it was changed")
        time.sleep(2)
    guest.execute("/bin/systemctl", "is-system-running", "--wait", timeout=300)


def shell_in(guest: Machine) -> Callable[[bytes], bytes]:
    """Runs a script by sh as root in the machine; its standard output."""
    import io

    import libvirt_qemu

    from scanner.targets.guest import Guest

    agent = Guest(lambda request, timeout: str(libvirt_qemu.qemuAgentCommand(guest.domain, request, timeout, 0)), guest.name)

    def shell(script: bytes) -> bytes:
        agent.write("/run/corpus-script", io.BytesIO(script))
        status, said = agent.execute("/bin/sh", "-c", "umask 022; cd /; sh /run/corpus-script > /run/corpus-out", timeout=600)
        if status:
            raise CaseFailed(f"the machine could not be changed: {said}")
        handle, parts = agent.open("/run/corpus-out"), []
        try:
            while piece := agent.piece(handle):
                parts.append(piece)
        finally:
            agent.close(handle)
        return b"".join(parts)

    return shell


def proven(case: Case) -> dict[str, Any]:
    """The case, run. Raises `CaseFailed`."""
    with live(case) as way:
        forgelet("scan", "run", *way, "--name", case.name, "--overlay", ends=(0, 2))
        groups = asked("scan", "list")["scannedInstances"]["scannedInstance"]
        group = next(one for one in groups if one["name"] == case.name)
        scan = max(one["dbId"] for one in group["scans"]["scan"])
        source = ["--source", f"libvirt:{way[1]}"] if case.route == "libvirt" else ["--source", f"docker:{way[1]}"] if case.probes else []
        words = [word for probe in case.probes for word in ("--probe", probe)]
        return {**_built(case, scan, [*source, *words]), "distribution": _system(scan)}


def _system(scan: int) -> str:
    system = asked("scan", "show", "--id", str(scan))["report"]["system"]
    return f"{system['distribution']} {system['version']}"


def _built(case: Case, scan: int, words: list[str]) -> dict[str, Any]:
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as spec:
        spec.write(SPEC + f"  imageName: {case.name}\n")
        spec.flush()
        image = asked("scan", "build", "--id", str(scan), "--file", spec.name)["images"]["image"][0]
    found = asked("image", "verify", "--id", str(image["dbId"]), *words, ends=(0, 4))
    return {
        "scopes": found["scopes"],
        "unexplained": sum(one["unexplained"] for one in found["scopes"].values()),
        "differences": [f"{one['scope']}: {one['item']}: {one['what']}" for one in found["differences"] if not one.get("rule")][:50],
        "probes": [bool(one["equal"]) for one in found["probes"]],
        "problems": found["runtime"].get("problems", []),
    }


def main(argv: list[str]) -> int:
    worst = 0
    for case in cases(argv):
        print(f"== {case.name}: {case.what}", flush=True)
        try:
            found = proven(case)
            good = not found["unexplained"] and all(found["probes"]) and not found["problems"]
        except CaseFailed as error:
            found, good = {"error": str(error)}, False
        record(case, {**found, "date": clock.now().strftime("%Y-%m-%d %H:%M")})
        print(f"== {case.name}: {'0 unexplained differences' if good else json.dumps(found, indent=1)}", flush=True)
        worst = worst or (0 if good else 4)
    return worst


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
