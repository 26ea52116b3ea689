"""The runtime questions: what only a running copy can answer."""

from __future__ import annotations

from typing import Any

from builders.image import Difference, Witness
from builders.machine import Machine
from builders.proof.witnesses import units

FAILED = ("/bin/systemctl", "--failed", "--plain", "--no-legend", "list-units")
ACTIVE = ("/bin/systemctl", "--state=active", "--type=service", "--plain", "--no-legend", "list-units")


def ask(machine: Machine) -> tuple[dict[str, Any], list[Witness]]:
    """What the copy says of itself, and its two witnesses: systemd's failed units and cloud-init. Raises `BootFailed`."""
    _, state = machine.execute("/bin/systemctl", "is-system-running", "--wait", timeout=300)
    asked, failed = machine.execute(*FAILED)
    _, active = machine.execute(*ACTIVE)
    ended, cloud = machine.execute("/usr/bin/cloud-init", "status", "--long", timeout=300)
    _, kernel = machine.execute("/bin/uname", "-r")
    told = {
        "state": state.strip(),
        "failed_units": units(failed),
        "active_services": units(active),
        "cloud_init": next((line.partition(":")[2].strip() for line in cloud.splitlines() if line.startswith("status:")), "unknown"),
        "kernel": kernel.strip(),
    }
    return told, [
        Witness(name="failed units", status=asked, said=failed.strip("\n")),
        Witness(name="cloud-init status --long", status=ended, said=cloud.strip("\n")),
    ]


def problems(rows: list[Difference]) -> list[str]:
    """What nobody explained of it, in words."""
    return [f"{one.item}: {one.what}" for one in rows if one.rule is None and one.item.startswith(("failed unit", "cloud-init"))]
