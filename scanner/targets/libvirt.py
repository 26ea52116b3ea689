"""A libvirt domain: running, through its guest agent and without any network; shut off, by reading its disks from the host."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from scanner.errors import ForgeletError, NotFound, StepFailed, UserError
from scanner.host.engines import libvirt_connection
from scanner.host.systems import Disk, system_of
from scanner.report import Machine
from scanner.targets import agent, domain, memory
from scanner.targets.agent import Place
from scanner.targets.guest import Guest
from scanner.targets.guestscan import answer
from scanner.targets.scratch import scratch

PREFIX = "libvirt:"
STATES = ("no state", "running", "blocked", "paused", "shutting down", "shut off", "crashed", "suspended")
"""By libvirt's number (virDomainState)."""
RUNNING = ("running", "blocked")
OFF = ("shut off", "crashed")
PING = 5
NO_AGENT = "install qemu-guest-agent in it (with the channel org.qemu.guest_agent.0), or scan it through SSH (--ip), or shut it off: virsh shutdown {}"

Connect = Callable[[], Any]
"""Opens a connection to libvirt (`libvirt.virConnect`). Raises `Unreachable`."""
Message = Callable[[Any, str, int], str]
"""Sends a request to a domain's guest agent. Raises `libvirt.libvirtError`."""


def _message(found: Any, request: str, timeout: int) -> str:
    import libvirt_qemu

    said: str = libvirt_qemu.qemuAgentCommand(found, request, timeout, 0)
    return said


def state_of(found: Any) -> str:
    """One of `STATES`."""
    number: int = found.state()[0]
    return STATES[number] if number < len(STATES) else "unknown"


class LibvirtTarget:
    """`libvirt:NAME`, by name or UUID. `root` is the tree that is read in a running machine."""

    def __init__(self, name: str, *, work: Path | None = None, connect: Connect = libvirt_connection, message: Message = _message, root: str = "/") -> None:
        self._name = name
        self._work = work
        self._connect = connect
        self._message = message
        self._root = root

    @property
    def label(self) -> str:
        return PREFIX + self._name

    def facts(self) -> Machine | None:
        """Raises `NotFound`, `Unreachable`, `StepFailed`, and `UserError` for a state in which a machine cannot be read."""
        with self._domain() as (found, state):
            xml: str = found.XMLDesc(0)
            if state in RUNNING:
                self._guest(found, xml)
            else:
                self._disks(found, xml)
            return domain.machine(xml, state)

    def execute(self, argv: Sequence[str], timeout: float = 60.0) -> tuple[int, bytes]:
        """Run a program in the machine, through its guest agent: exit status and output. Raises `UserError` when it does not run, `StepFailed`."""
        with self._domain() as (found, state):
            if state not in RUNNING:
                raise UserError(f"the machine '{self._name}' is {state}", hint=f"virsh start {self._name}")
            return self._guest(found, found.XMLDesc(0)).output(*argv, timeout=timeout)

    @contextmanager
    def inventory(self, excludes: Sequence[str], known: Path | None = None) -> Iterator[BinaryIO]:
        with self._domain() as (found, state):
            if state in RUNNING:
                guest = self._guest(found, found.XMLDesc(0))
                with memory.packed(known) as lines:
                    brought = {"known": lines} if lines else {}
                    with answer(guest, lambda folder: agent.words(Place(self._root), [*excludes, *folder], *brought), brought, work=self._work) as stream:
                        yield stream
            else:
                with self._off(found) as place, agent.inventory(place, excludes, known) as stream:
                    yield stream

    @contextmanager
    def capture(self, paths: Path) -> Iterator[BinaryIO]:
        with self._domain() as (found, state):
            if state in RUNNING:
                guest = self._guest(found, found.XMLDesc(0))
                with answer(guest, lambda folder: ["capture", "--root", self._root, "--paths", "paths"], {"paths": paths}, work=self._work) as stream:
                    yield stream
            else:
                with self._off(found) as place, agent.capture(place.root, paths, as_root=True) as stream:
                    yield stream

    @contextmanager
    def _domain(self) -> Iterator[tuple[Any, str]]:
        connection = self._connect()
        import libvirt

        try:
            found = self._find(connection)
            state = state_of(found)
            if state not in (*RUNNING, *OFF):
                raise UserError(f"the machine '{self._name}' is {state} and can be read neither from inside nor from outside", hint=f"virsh resume {self._name}, or virsh shutdown {self._name}")
            yield found, state
        except libvirt.libvirtError as error:
            raise StepFailed(f"libvirt refused: {error}", hint=f"virsh dominfo {self._name}") from error
        finally:
            with suppress(libvirt.libvirtError):
                connection.close()

    def _find(self, connection: Any) -> Any:
        import libvirt

        for look in (connection.lookupByName, connection.lookupByUUIDString):
            with suppress(libvirt.libvirtError):
                return look(self._name)
        known = ", ".join(sorted(one.name() for one in connection.listAllDomains())) or "none"
        raise NotFound(f"there is no machine '{self._name}'; known: {known}", hint="forgelet scan targets")

    def _guest(self, found: Any, xml: str) -> Guest:
        """The guest agent, which has answered. Raises `StepFailed`."""
        hint = NO_AGENT.format(self._name)
        if not domain.has_agent(xml):
            raise StepFailed(f"the machine '{self._name}' runs and has no channel for a guest agent", hint=hint)
        guest = Guest(lambda request, timeout: self._told(found, request, timeout), self._name)
        try:
            guest.ask("guest-ping", PING)
        except ForgeletError as error:
            raise StepFailed(f"the guest agent of '{self._name}' does not answer: {error.message}", hint=hint) from error
        return guest

    def _told(self, found: Any, request: str, timeout: int) -> str:
        import libvirt

        try:
            return self._message(found, request, timeout)
        except libvirt.libvirtError as error:
            said = str(error)
            # Some distributions ship the agent with guest-exec and the file commands switched off.
            off = "has been disabled" in said or "not allowed" in said
            hint = "allow it in the guest (BLACKLIST_RPC or allow-rpcs of qemu-ga), or scan through SSH (--ip), or shut it off" if off else NO_AGENT.format(self._name)
            raise StepFailed(f"the guest agent of '{self._name}' refused: {said}", hint=hint) from error

    def _disks(self, found: Any, xml: str) -> tuple[list[Disk], list[str]]:
        """Raises `UserError` when there is no disk that can be read."""
        connection = found.connect()
        disks, others = domain.disks(xml, lambda pool, volume: str(connection.storagePoolLookupByName(pool).storageVolLookupByName(volume).path()))
        if not disks:
            raise UserError(f"the machine '{self._name}' has no disk that can be read", problems=others, hint=f"start it and scan it while it runs: virsh start {self._name}")
        return disks, others

    @contextmanager
    def _off(self, found: Any) -> Iterator[Place]:
        disks, others = self._disks(found, found.XMLDesc(0))
        with scratch(self._work) as work, system_of(disks, work) as tree:
            blind = [*(("/", why) for why in others), *tree.blind_spots]
            if found.hasManagedSaveImage(0):
                blind.append(("/", "the machine is saved, not shut down: what it had only in memory is not on its disks"))
            yield Place(str(tree.root), cross=tree.crossed, blind=blind)
        if state_of(found) not in OFF:
            raise StepFailed(f"the machine '{self._name}' was started while its disks were read", hint="scan it again, now that it runs")
