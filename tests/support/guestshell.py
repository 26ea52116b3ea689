"""A shell in a running machine, through its guest agent: scripts and answers travel as files, so that every byte arrives."""

from __future__ import annotations

import io
from collections.abc import Callable

from builders.machine import Machine
from scanner.targets.guest import Guest

SCRIPT, OUT = "/tmp/.test-script", "/tmp/.test-out"
PATIENCE = 600.0


def shell_in(machine: Machine) -> Callable[[bytes], bytes]:
    """Runs a script by sh as root; its standard output. Fails when the script does."""
    import libvirt_qemu

    guest = Guest(lambda request, timeout: str(libvirt_qemu.qemuAgentCommand(machine.domain, request, timeout, 0)), machine.name)

    def shell(script: bytes) -> bytes:
        guest.write(SCRIPT, io.BytesIO(script))
        # The agent's own umask and folder are not a login's.
        status, said = guest.execute("/bin/sh", "-c", f"umask 022; cd /; sh {SCRIPT} > {OUT}", timeout=PATIENCE)
        assert status == 0, said
        handle, parts = guest.open(OUT), []
        try:
            while piece := guest.piece(handle):
                parts.append(piece)
        finally:
            guest.close(handle)
        return b"".join(parts)

    return shell
