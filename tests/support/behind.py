"""A machine behind a gateway: the only way out of it is QEMU's user-mode network, whose gateway leads to this machine's loopback.

Machines of Forgelet reach nothing outside (`restrict=on`). This one reaches the gateway, and through it this machine's loopback, and nothing
else: every other route is forbidden before its link comes up, on the disk that it starts from.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from builders import machine as machines
from builders.machine import Machine, booted, domain_xml
from scanner.host.disks import root_of

PASSWORD = "forgelet"
"""Of root."""
ONLY_THE_GATEWAY = "[DHCPv4]\nUseDNS=no\nUseNTP=no\n" + "".join(f"[Route]\nDestination={net}\nType=prohibit\n" for net in ("0.0.0.0/1", "128.0.0.0/1", "10.0.2.3/32"))
FOREIGN = "press-ledger"
"""The source's package that no repository offers: without it, the machine can be built from a scan that brings no files, too."""
AS_OLD_CLIENTS_NEED_IT = """PermitRootLogin yes
PasswordAuthentication yes
KexAlgorithms +diffie-hellman-group-exchange-sha1
HostKeyAlgorithms +ssh-rsa
PubkeyAcceptedAlgorithms +ssh-rsa
"""
OF_A_MACHINE = {
    "etc/default/grub": 'GRUB_TIMEOUT=1\nGRUB_CMDLINE_LINUX="root=/dev/sda1 mitigations=off"\n',
    "etc/crypttab": "vault UUID=04b3f206-000d-5b3c-944d-543a73f66520 none luks,noauto\n",
    "etc/modprobe.d/own.conf": "blacklist floppy\n",
    "boot/notes": "a file of nobody's\n",
}
"""What a machine has beyond a container."""


@contextmanager
def machine_behind(image: Path, work: Path) -> Iterator[Machine]:
    """The machine that starts from a copy of `image`, a qcow2, running; root logs in by password, as old clients do it. `work` keeps its disk."""
    disk = work / "behind.raw"
    subprocess.run(["qemu-img", "convert", "-O", "raw", str(image), str(disk)], check=True)
    with root_of(disk, "raw", work, writable=True) as root:
        _prepare(root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(machines, "domain_xml", lambda wanted: domain_xml(wanted).replace("restrict=on", "restrict=off"))
        with booted(disk, "raw", 1024, work, hostname="behind", forwards=[22]) as machine:
            machine.wait_for_agent()
            machine.execute("/bin/systemctl", "is-system-running", "--wait", timeout=300)
            yield machine


def _prepare(root: Path) -> None:
    (network,) = (root / "etc/systemd/network").glob("*-forgelet-dhcp.network")
    texts = {
        network.with_name(f"{network.name}.d") / "gateway.conf": ONLY_THE_GATEWAY,
        root / "etc/ssh/sshd_config.d/00-first.conf": AS_OLD_CLIENTS_NEED_IT,
        **{root / path: text for path, text in OF_A_MACHINE.items()},
    }
    for file, text in texts.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    subprocess.run(["chroot", str(root), "chpasswd", "-c", "SHA512"], input=f"root:{PASSWORD}\n", text=True, check=True)
    subprocess.run(["chroot", str(root), "dpkg", "--purge", FOREIGN], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)


def told(machine: Machine, script: str) -> str:
    """What a script in the machine says."""
    status, said = machine.execute("/bin/sh", "-c", script)
    assert status == 0, said
    return said.strip()
