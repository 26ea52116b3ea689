"""A throw-away machine under libvirt: boots an image, answers through its guest agent, shuts down cleanly, leaves nothing.

The disk of the image is never written to (a qcow2 overlay takes the writes). The network is QEMU's user mode, isolated, with
forwards on 127.0.0.1 only. Like Nova, it offers a config drive. The domain is transient: when it ends, libvirt forgets it.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from builders import configdrive
from builders.configdrive import Identity
from builders.errors import BootFailed
from scanner.host.engines import libvirt_connection
from scanner.host.run import run, tally

AGENT_DEADLINE = 420.0
"""Seconds; a Debian image's agent answers after about 45 without hardware acceleration on an idle machine."""
SHUTDOWN_DEADLINE = 180.0


@dataclass(slots=True)
class Machine:
    """A running machine."""

    name: str
    domain: Any
    disk: Path
    """The throw-away overlay, qcow2."""
    ports: dict[int, int]
    """Guest port -> port on 127.0.0.1."""
    console: Path

    def wait_for_agent(self, deadline: float = AGENT_DEADLINE) -> float:
        """Seconds until the guest agent answered. Raises `BootFailed` with the console's last lines."""
        started = time.monotonic()
        while time.monotonic() - started < deadline:
            if not self.running():
                raise BootFailed(f"the machine stopped by itself while booting: {self.last_words()}", hint=f"its console: {self.console}")
            with suppress(BootFailed):
                self.agent("guest-ping", timeout=3)
                tally("boot")
                return time.monotonic() - started
            time.sleep(0.5)
        raise BootFailed(f"the guest agent did not answer in {deadline:.0f} s: {self.last_words()}", hint="boot it by hand: forgelet image show")

    def running(self) -> bool:
        import libvirt

        try:
            return bool(self.domain.isActive())
        except libvirt.libvirtError:
            return False

    def last_words(self) -> str:
        """The end of the serial console, printable."""
        with suppress(OSError):
            run(["chmod", "a+r", str(self.console)], root=True, check=False)
            lines = self.console.read_bytes().decode(errors="replace").splitlines()
            return " | ".join(line for line in lines[-5:] if line.strip()) or "the console is empty"
        return "no console"

    def agent(self, command: str, timeout: int = 30, **arguments: Any) -> Any:
        """One guest agent command's answer. Raises `BootFailed`."""
        import libvirt
        import libvirt_qemu

        request = json.dumps({"execute": command, "arguments": arguments} if arguments else {"execute": command})
        try:
            return json.loads(libvirt_qemu.qemuAgentCommand(self.domain, request, timeout, 0))["return"]
        except libvirt.libvirtError as error:
            raise BootFailed(f"the guest agent refused {command}: {error}") from error

    def execute(self, *argv: str, timeout: float = 180.0) -> tuple[int, str]:
        """Run a program in the guest; its exit status and output. Raises `BootFailed` when it does not end in time."""
        status, said = self.output(*argv, timeout=timeout)
        return status, said.decode(errors="replace")

    def output(self, *argv: str, timeout: float = 180.0) -> tuple[int, bytes]:
        """As `execute`, with the output as it is."""
        pid = self.agent("guest-exec", path=argv[0], arg=list(argv[1:]), **{"capture-output": True})["pid"]
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            status = self.agent("guest-exec-status", pid=pid)
            if status["exited"]:
                out = base64.b64decode(status.get("out-data", "")) + base64.b64decode(status.get("err-data", ""))
                return status.get("exitcode", -1), out
            time.sleep(0.3)
        raise BootFailed(f"'{' '.join(argv)}' did not end in the guest within {timeout:.0f} s")

    def shut_down(self) -> None:
        """A clean end, as a person's `poweroff`. Raises `BootFailed` when the machine is still there after the deadline."""
        import libvirt

        with suppress(libvirt.libvirtError):
            self.domain.shutdownFlags(libvirt.VIR_DOMAIN_SHUTDOWN_GUEST_AGENT)
        deadline = time.monotonic() + SHUTDOWN_DEADLINE
        while self.running():
            if time.monotonic() > deadline:
                raise BootFailed(f"the machine did not shut down in {SHUTDOWN_DEADLINE:.0f} s: {self.last_words()}")
            time.sleep(0.3)


@contextmanager
def booted(image: Path, format: str, memory: int, work: Path, *, hostname: str, forwards: Sequence[int] = ()) -> Iterator[Machine]:
    """The machine that boots from `image`; destroyed when the block is left, if it still runs. Raises `BootFailed`, `Unreachable`."""
    name = f"forgelet-{uuid.uuid4().hex[:12]}"
    disk, console = work / "machine.qcow2", work / "console.log"
    run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", format, "-b", str(image.resolve()), str(disk)])
    configdrive.write(work / "config.iso", Identity(hostname))
    ports = {port: free_port() for port in forwards}
    (work / f"{name}.domain").touch()
    connection = libvirt_connection()
    import libvirt

    try:
        domain = _create(connection, domain_xml(Virtual(name, disk, work / "config.iso", console, memory, ports)))
        machine = Machine(name, domain, disk, ports, console)
        try:
            yield machine
        finally:
            with suppress(libvirt.libvirtError):
                domain.destroy()
    finally:
        connection.close()


def _create(connection: Any, xml: str) -> Any:
    import libvirt

    try:
        return connection.createXML(xml, libvirt.VIR_DOMAIN_START_AUTODESTROY)
    except libvirt.libvirtError as error:
        raise BootFailed(f"the machine could not be started: {error}", hint="forgelet doctor") from error


def accelerator() -> str:
    """`qemu` (emulation, works everywhere) unless FORGELET_ACCEL says `kvm`: /dev/kvm being there does not mean that it works."""
    return "kvm" if os.environ.get("FORGELET_ACCEL") == "kvm" else "qemu"


@dataclass(frozen=True, slots=True)
class Virtual:
    """A machine as libvirt is asked for it."""

    name: str
    disk: Path
    """qcow2"""
    config: Path
    """The config drive."""
    console: Path
    memory: int
    """MiB"""
    ports: Mapping[int, int]
    """Guest port -> port on 127.0.0.1"""
    vcpus: int = 2
    mac: str = ""
    """QEMU's default unless given."""
    id: str = ""
    """The domain's UUID; libvirt makes one unless given."""


def domain_xml(wanted: Virtual) -> str:
    """The domain's definition. The labels let QEMU read our folder without any change to libvirt's own configuration."""
    rules = "".join(f",hostfwd=tcp:127.0.0.1:{host}-:{guest}" for guest, host in wanted.ports.items())
    mac = f",mac={wanted.mac}" if wanted.mac else ""
    disk, config, console = (quoteattr(str(path)) for path in (wanted.disk, wanted.config, wanted.console))
    return f"""<domain type='{accelerator()}' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>{wanted.name}</name>{f"<uuid>{wanted.id}</uuid>" if wanted.id else ""}
  <memory unit='MiB'>{wanted.memory}</memory>
  <vcpu>{wanted.vcpus}</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type><boot dev='hd'/></os>
  <features><acpi/></features>
  <clock offset='utc'/>
  <on_poweroff>destroy</on_poweroff><on_reboot>restart</on_reboot><on_crash>destroy</on_crash>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2' cache='unsafe'/><source file={disk}/><target dev='vda' bus='virtio'/>
    </disk>
    <disk type='file' device='cdrom'>
      <driver name='qemu' type='raw'/><source file={config}/><target dev='hdd' bus='ide'/><readonly/>
    </disk>
    <serial type='file'><source path={console}/><target port='0'/></serial>
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
    <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
    <memballoon model='none'/>
  </devices>
  <seclabel type='static' model='dac' relabel='no'><label>+0:+0</label></seclabel>
  <qemu:commandline>
    <qemu:arg value='-netdev'/><qemu:arg value='user,id=forgelet0,restrict=on{rules}'/>
    <qemu:arg value='-device'/><qemu:arg value='virtio-net-pci,netdev=forgelet0,addr=0x1d{mac}'/>
  </qemu:commandline>
</domain>
"""


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
