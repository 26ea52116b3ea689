"""The real hammr scans a machine behind QEMU's user-mode network: it comes in by a forward, and its agent finds the service at the gateway.

Machines of Forgelet reach nothing outside (`restrict=on`), so this one is started here. It reaches this machine's loopback by its gateway, and
nothing else: its link comes up only after every other route has been forbidden.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from support.bench import Bench
from support.hammr import Hammr, install
from support.service import SCANS

from builders import configdrive
from builders.configdrive import Identity
from builders.machine import Machine, Virtual, domain_xml, free_port
from scanner.host.engines import libvirt_connection
from scanner.host.run import run
from scanner.report import Report

pytestmark = [pytest.mark.e2e, pytest.mark.docker, pytest.mark.libvirt, pytest.mark.dib, pytest.mark.hammr]

NAME = "forgelet-test-behind"
ONLY_THE_GATEWAY = "for net in 0.0.0.0/1 128.0.0.0/1 10.0.2.3/32; do ip route add prohibit $net; done"
LET_IN = """set -e
echo root:forgelet | chpasswd
cat > /etc/ssh/sshd_config.d/00-first.conf <<END
PermitRootLogin yes
PasswordAuthentication yes
KexAlgorithms +diffie-hellman-group-exchange-sha1
HostKeyAlgorithms +ssh-rsa
PubkeyAcceptedAlgorithms +ssh-rsa
END
systemctl reload ssh"""
HELD = ("/etc/hostname", "/etc/passwd", "/etc/fstab")


@pytest.fixture(scope="module")
def machine(bench: Bench, image: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """The copy, running behind a gateway; root logs in by password, as old clients do it."""
    import libvirt
    import libvirt_qemu

    work = tmp_path_factory.mktemp("behind")
    disk, config, console = work / "machine.qcow2", work / "config.iso", work / "console.log"
    built = bench.data / "images" / str(image) / "image.qcow2"
    run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", str(built), str(disk)])
    configdrive.write(config, Identity("behind"))
    ports = {22: free_port()}
    xml = domain_xml(Virtual(NAME, disk, config, console, 1024, ports)).replace("restrict=on", "restrict=off")
    connection = libvirt_connection()
    try:
        domain = connection.createXML(xml, libvirt.VIR_DOMAIN_START_AUTODESTROY)

        def link(up: bool) -> None:
            said = libvirt_qemu.qemuMonitorCommand(domain, json.dumps({"execute": "set_link", "arguments": {"name": "forgelet0", "up": up}}), 0)
            assert "error" not in json.loads(said), said

        try:
            link(up=False)
            found = Machine(NAME, domain, disk, ports, console)
            found.wait_for_agent()
            assert told(found, ONLY_THE_GATEWAY) == ""
            link(up=True)
            told(found, LET_IN)
            yield found
        finally:
            with suppress(libvirt.libvirtError):
                domain.destroy()
    finally:
        connection.close()


def told(machine: Machine, script: str) -> str:
    """What a script in the machine says."""
    status, said = machine.execute("/bin/sh", "-c", script)
    assert status == 0, said
    return said.strip()


def test_hammr_scans_a_machine_behind_a_user_mode_network(bench: Bench, machine: Machine, tmp_path: Path) -> None:
    url = f"{bench.service.origin}/api"
    assert url.startswith("http://127.0.0.1:"), "of no use to the machine, which has a loopback of its own"
    bench.service.until(lambda: "default via 10.0.2.2" in told(machine, "ip route"), 60)
    hammr = Hammr(install(), tmp_path / "home", url, ["-a", url, "-u", "root", "-p", "forgelet"])
    where = ["--ip", "127.0.0.1", "--scan-port", str(machine.ports[22]), "--scan-login", "root", "--scan-password", "forgelet"]
    said = hammr("scan", "run", *where, "--name", "behind", "--exclude", "/usr", "/boot", "/var", timeout=400).text
    assert "SUCCESS!" in said and "Scan successful" in said
    groups = bench.service.http.get(SCANS, params={"includeScans": "true"}).json()["scannedInstances"]["scannedInstance"]
    [one] = [scan for group in groups if group["name"] == "behind" for scan in group["scans"]["scan"]]
    assert one["status"]["complete"]
    report = Report(bench.data / "scans" / str(one["dbId"]))
    table = {entry.path: entry for entry in report.files()}
    held = dict(reversed(line.split(maxsplit=1)) for line in told(machine, f"sha256sum {' '.join(HELD)}").splitlines())
    assert {path: table[path].sha256 for path in HELD} == held
    assert (report.head.system.hostname, table["/usr"].reason) == ("behind", "user")
    assert told(machine, "ls -d /tmp/*uforge* 2> /dev/null || echo none") == "none", "the agent stays nowhere"
    bench.cli("scan", "delete", "--id", str(one["dbId"]))
