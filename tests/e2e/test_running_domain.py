"""The image that was built, as a live system: scanned while it runs, through its guest agent alone, and again from its disk."""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.bench import Bench

from builders.machine import Machine, booted
from scanner.compare import compare_files
from scanner.progress import Silent
from scanner.report import Machine as Facts
from scanner.report import Report
from scanner.scan import scan as scan_target
from scanner.targets.contract import the_capture_brings_what_is_asked_and_leaves_out_what_is_gone
from scanner.targets.libvirt import LibvirtTarget

pytestmark = [pytest.mark.e2e, pytest.mark.docker, pytest.mark.libvirt, pytest.mark.dib]

EXCLUDES = ("/usr", "/boot")
"""Most of the bytes: an emulated processor takes its time for each."""
HELLO = "printf 'hello\\n' > /etc/hello; chmod 0640 /etc/hello; setfattr -n user.note -v kept /etc/hello || true; sync"
XML = """<domain type='qemu'><name>{name}</name><memory unit='MiB'>512</memory><os><type arch='x86_64' machine='pc'>hvm</type></os><devices>
<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{disk}'/><target dev='vda' bus='virtio'/></disk></devices></domain>"""


def virsh(*words: str) -> None:
    subprocess.run(["virsh", "-q", "-c", "qemu:///system", *words], check=True, capture_output=True)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("domain")


@pytest.fixture(scope="module")
def reports(bench: Bench, image: int, work: Path) -> Iterator[tuple[Report, Report, str]]:
    """What the guest agent showed, what the disk showed after the machine was switched off, and what `scan targets` said meanwhile."""
    with booted(bench.data / "images" / str(image) / "image.qcow2", "qcow2", 1024, work, hostname="guest") as machine:
        machine.wait_for_agent()
        machine.execute("/bin/systemctl", "is-system-running", "--wait", timeout=300)
        machine.execute("/bin/sh", "-c", HELLO)
        listed = bench.cli("scan", "targets", "-o", "json")
        target = LibvirtTarget(machine.name, work=work)
        the_capture_brings_what_is_asked_and_leaves_out_what_is_gone(target, work)
        running = scan_target(target, work / "running", Silent(), excludes=EXCLUDES)
        _nothing_stays(machine)
        machine.execute("/bin/sync")
    name = f"forgelet-test-{uuid.uuid4().hex[:8]}"
    (work / "domain.xml").write_text(XML.format(name=name, disk=machine.disk))
    virsh("define", str(work / "domain.xml"))
    try:
        off = scan_target(LibvirtTarget(name, work=work / "mounts"), work / "off", Silent(), excludes=EXCLUDES)
        yield running, off, listed
    finally:
        virsh("undefine", name)


def _nothing_stays(machine: Machine) -> None:
    status, said = machine.execute("/bin/sh", "-c", "ls -d /tmp/.ufor* /var/tmp/.ufor* /root/.ufor*; ps ax | grep ufor[g]e-scan")
    assert (status, [line for line in said.splitlines() if "No such file" not in line]) == (1, [])


def test_the_guest_agent_and_the_disk_show_the_same_machine(reports: tuple[Report, Report, str]) -> None:
    running, off, _ = reports
    found = [one for one in compare_files(running, off) if not one.path.startswith(("/var/log", "/var/lib/systemd"))]
    assert [(one.path, one.fields) for one in found if not (one.left and one.left.state == "excluded")] == []
    assert running.head.counts["files"] > 500
    assert running.head.packages == off.head.packages != []


def test_the_machine_is_told_as_the_hypervisor_knows_it(reports: tuple[Report, Report, str]) -> None:
    facts = [report.head.system.machine for report in reports[:2]]
    assert [(one.state, one.memory, one.disks[0].format) for one in facts if isinstance(one, Facts)] == [("running", 1024, "qcow2"), ("shut off", 512, "qcow2")]


def test_a_machine_whose_agent_answers_is_among_the_targets(reports: tuple[Report, Report, str]) -> None:
    running, _, listed = reports
    rows = {one["target"]: one for one in json.loads(listed)["targets"]["target"]}
    assert rows[running.head.target]["scannable"]
    assert "guest agent" in rows[running.head.target]["way"]
