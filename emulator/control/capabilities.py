"""What this machine can really do, found out by trying: cheap probes, side by side, remembered for some seconds."""

from __future__ import annotations

import contextlib
import http.client
import importlib.util
import os
import socket
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from pathlib import Path

from scanner.host import clock
from scanner.host.run import available, run

KEEP = 5.0
"""Seconds that an answer is good for."""
PATIENCE = 2.0
"""Seconds that one probe may take."""

Verdict = dict[str, object]


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=PATIENCE)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(self._path)


def docker() -> str:
    """Why Docker cannot be used; empty when it can."""
    if importlib.util.find_spec("docker") is None:
        return "the Python module 'docker' is not installed: pip install 'forgelet[docker]'"
    where = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    if not where.startswith("unix://"):
        return ""
    path = where.removeprefix("unix://")
    try:
        connection = _UnixConnection(path)
        connection.request("GET", "/_ping")
        status = connection.getresponse().status
        connection.close()
    except OSError as error:
        return f"no Docker engine answers at {path}: {error.strerror or error}"
    return "" if status == 200 else f"the Docker engine at {path} answers {status}"


LIBVIRT_SOCKETS = ("/run/libvirt/libvirt-sock", "/run/libvirt/virtqemud-sock")
"""Where `qemu:///system` is served, by the one daemon or by the driver's own. Source: libvirt's *Daemons* page."""


def libvirt() -> str:
    """Why libvirt cannot be used; empty when it can. Asked at its socket: loading the library takes longer than all other probes."""
    if importlib.util.find_spec("libvirt") is None:
        return "the Python module 'libvirt' is not installed: pip install 'forgelet[libvirt]'"
    for path in LIBVIRT_SOCKETS:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(PATIENCE)
            probe.connect(path)
            return ""
    return "libvirtd does not answer: nothing listens at " + " or ".join(LIBVIRT_SOCKETS)


def dib() -> str:
    """Why images cannot be built here; empty when they can."""
    missing = [tool for tool in ("qemu-img", "sfdisk", "losetup", "mkfs.ext4") if not available(tool)]
    if not (available("disk-image-create") or (Path(sys.executable).parent / "disk-image-create").exists()):
        missing.append("disk-image-create")
    if not (available("mmdebstrap") or available("debootstrap")):
        missing.append("mmdebstrap")
    if missing:
        return "missing programs: " + ", ".join(missing)
    if not Path("/dev/loop-control").exists():
        return "this machine has no loop devices"
    return _root()


def _root() -> str:
    if os.geteuid() == 0:
        return ""
    if not available("sudo") or run(["sudo", "-n", "true"], check=False, timeout=PATIENCE).returncode:
        return "neither root nor sudo without a password"
    return ""


def boot() -> str:
    """Why images cannot be booted here; empty when they can."""
    return "" if available("qemu-system-x86_64") else "missing programs: qemu-system-x86_64"


PROBES: dict[str, Callable[[], str]] = {"docker": docker, "libvirt": libvirt, "dib": dib, "boot": boot}


class Capabilities:
    """The probes' answers, at most `KEEP` seconds old."""

    def __init__(self, probes: dict[str, Callable[[], str]] | None = None) -> None:
        self._probes = PROBES if probes is None else probes
        self._asked: dict[str, Future[str]] = {}
        self._when = -KEEP
        self._lock = threading.Lock()

    def begin(self) -> None:
        """Start to find out, without waiting."""
        with self._lock:
            self._refresh()

    def _refresh(self) -> None:
        if self._asked and (clock.monotonic() - self._when < KEEP):
            return
        for name, probe in self._probes.items():
            running = self._asked.get(name)
            if running is None or running.done():
                self._asked[name] = _submit(name, probe)
        self._when = clock.monotonic()

    def all(self) -> dict[str, Verdict]:
        """Capability -> `ok` and, where it is lacking, `reason`. A virtual machine needs libvirt too."""
        with self._lock:
            self._refresh()
            asked = dict(self._asked)
        wait(asked.values(), timeout=PATIENCE)
        verdicts = {name: _verdict(future) for name, future in asked.items()}
        if "libvirt" in verdicts and verdicts.get("boot", {}).get("ok") and not verdicts["libvirt"]["ok"]:
            verdicts["boot"] = verdicts["libvirt"]
        return verdicts


def _submit(name: str, probe: Callable[[], str]) -> Future[str]:
    """Run in a daemon thread: a probe that hangs must not keep the service from ending."""
    future: Future[str] = Future()

    def work() -> None:
        try:
            future.set_result(probe())
        except Exception as error:
            future.set_exception(error)

    threading.Thread(target=work, name=f"probe-{name}", daemon=True).start()
    return future


def _verdict(future: Future[str]) -> Verdict:
    if not future.done():
        return {"ok": False, "reason": f"no answer within {PATIENCE:.0f} seconds"}
    if future.exception() is not None:
        return {"ok": False, "reason": f"the probe failed: {future.exception()}"}
    reason = future.result()
    return {"ok": False, "reason": reason} if reason else {"ok": True}
