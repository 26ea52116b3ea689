"""The image that was built, as a live system: scanned while it runs by its guest agent, changed in known ways, scanned again, and switched off:
then it is scanned from its disk, and migrated in one command, as a second generation."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import truth
from support.behind import OF_A_MACHINE
from support.bench import Bench
from support.drifting import Drifted, Subject
from support.guestshell import shell_in
from support.service import SCANS

from builders.machine import Machine
from scanner.compare import compare_files
from scanner.progress import Silent
from scanner.report import Machine as Facts
from scanner.report import Report
from scanner.scan import scan as scan_target
from scanner.targets.contract import the_capture_brings_what_is_asked_and_leaves_out_what_is_gone
from scanner.targets.libvirt import LibvirtTarget

pytestmark = [pytest.mark.e2e, pytest.mark.docker, pytest.mark.libvirt, pytest.mark.dib, pytest.mark.hammr]

COUNT = 60
EXCLUDES = ("/usr", "/boot")
"""Most of the bytes: an emulated processor takes its time for each."""
AREAS = ("/etc", "/srv", "/opt", "/home", "/root", "/var/www")
BUSY = ("/var/log", "/var/lib/systemd")
"""A running machine writes there by itself."""
HELLO = "printf 'hello\\n' > /etc/hello; chmod 0640 /etc/hello; setfattr -n user.note -v kept /etc/hello || true; sync"
XML = """<domain type='qemu'><name>{name}</name><memory unit='MiB'>512</memory><os><type arch='x86_64' machine='pc'>hvm</type></os><devices>
<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{disk}'/><target dev='vda' bus='virtio'/></disk></devices></domain>"""


def virsh(*words: str) -> None:
    subprocess.run(["virsh", "-q", "-c", "qemu:///system", *words], check=True, capture_output=True)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("domain")


@pytest.fixture(scope="module")
def ran(bench: Bench, machine: Machine, work: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Drifted, str]:
    """What the guest agent showed before and after a drift, and what `scan targets` said. The machine is switched off then."""
    machine.execute("/bin/sh", "-c", HELLO)
    listed = bench.cli("scan", "targets", "-o", "json")
    target = LibvirtTarget(machine.name, work=work)
    the_capture_brings_what_is_asked_and_leaves_out_what_is_gone(target, work)
    system = truth.System(shell_in(machine), pruned=EXCLUDES)
    (drifted,) = Subject(machine.name, lambda: target, system, lambda: tmp_path_factory.mktemp("look"), AREAS, BUSY).drifts([401], COUNT)
    _nothing_stays(machine)
    _a_scan_that_is_killed_leaves_nothing(bench, machine)
    machine.execute("/bin/sync")
    # A clean end would write on.
    machine.domain.destroy()
    return drifted, listed


@pytest.fixture(scope="module")
def domain(machine: Machine, ran: tuple[Drifted, str], work: Path) -> Iterator[str]:
    """The machine as one that libvirt keeps, shut off."""
    name = f"forgelet-test-{uuid.uuid4().hex[:8]}"
    (work / "domain.xml").write_text(XML.format(name=name, disk=machine.disk))
    virsh("define", str(work / "domain.xml"))
    yield name
    virsh("undefine", name)


@pytest.fixture
def reports(ran: tuple[Drifted, str], domain: str, work: Path, tmp_path: Path) -> tuple[Report, Report]:
    """The machine as it was last while it ran, and as its disk is."""
    return ran[0].after.report, scan_target(LibvirtTarget(domain, work=tmp_path / "mounts"), tmp_path / "off", Silent(), excludes=EXCLUDES)


def _nothing_stays(machine: Machine) -> None:
    status, said = machine.execute("/bin/sh", "-c", "ls -d /tmp/.ufor* /var/tmp/.ufor* /root/.ufor*; ps ax | grep ufor[g]e-scan")
    assert (status, [line for line in said.splitlines() if "No such file" not in line]) == (1, [])


def _a_scan_that_is_killed_leaves_nothing(bench: Bench, machine: Machine) -> None:
    """SIGKILL for the job while the agent is at work in the machine: the service says so, and takes the agent away."""
    service = bench.service
    asked = {"name": f"killed {machine.name}", "target": f"libvirt:{machine.name}", "exclude": list(EXCLUDES)}
    job = service.http.post(SCANS, json=asked).raise_for_status().json()["jobId"]
    child = service.in_stage(job, "scan.inventory")
    service.until(lambda: "uforge-scan" in machine.execute("/bin/sh", "-c", "ps ax")[1], 60)
    os.killpg(child, signal.SIGKILL)
    failed = service.ended(job)
    assert (failed["state"], failed["error"] != "", failed["hint"] != "") == ("failed", True, True)
    service.until(lambda: "uforge-scan" not in machine.execute("/bin/sh", "-c", "ps ax")[1], 60)
    _nothing_stays(machine)
    scan = failed["subjectUri"].rpartition("/")[2]
    assert not [file for file in (bench.data / "scans" / scan).rglob("*") if file.is_file()]


def test_what_drifts_in_a_machine_is_found_to_the_last_field(ran: tuple[Drifted, str]) -> None:
    assert len(ran[0].done.mutations) == COUNT
    ran[0].check()


def test_the_guest_agent_and_the_disk_show_the_same_machine(reports: tuple[Report, Report]) -> None:
    running, off = reports
    found = [one for one in compare_files(running, off) if not one.path.startswith(BUSY)]
    assert [(one.path, one.fields) for one in found if not (one.left and one.left.state == "excluded")] == []
    assert running.head.counts["files"] > 500
    assert running.head.packages == off.head.packages != []
    facts = [report.head.system.machine for report in reports]
    assert [(one.state, one.memory, one.disks[0].format) for one in facts if isinstance(one, Facts)] == [("running", 1024, "qcow2"), ("shut off", 512, "qcow2")]


def test_a_machine_whose_agent_answers_is_among_the_targets(ran: tuple[Drifted, str]) -> None:
    drifted, listed = ran
    rows = {one["target"]: one for one in json.loads(listed)["targets"]["target"]}
    assert rows[drifted.after.report.head.target]["scannable"]
    assert "guest agent" in rows[drifted.after.report.head.target]["way"]


def test_the_machine_is_migrated_in_one_command_and_its_copy_is_proven(bench: Bench, domain: str, tmp_path: Path) -> None:
    """A second generation, after a drift."""
    (tmp_path / "m.yml").write_text(
        f"""migration:
  name: second
  source: {{libvirt: {domain}}}
  target:
    builder: {{type: openstack, account: local, imageName: second, installation: {{diskSize: 2000}}}}
    verify: {{}}
"""
    )
    told = bench.json("migration", "launch", "--file", str(tmp_path / "m.yml"))
    assert (told["state"], told["exitCode"], told["stageList"][-2:]) == ("done", 0, ["publish", "verify"])
    fidelity = bench.service.http.get(f"/api/users/root/images/{told['made']['build']}/verifications/last").raise_for_status().json()
    assert [one for one in fidelity["differences"] if one["rule"] is None] == []
    assert fidelity["scopes"]["files"]["equal"] > 5000
    made = bench.json("image", "show", "--id", str(told["made"]["build"]))
    assert made["provenance"]["source"] == f"libvirt:{domain}"
    assert "boot-settings: " in " ".join(made["conditions"]) and "encrypted-disks: " in " ".join(made["conditions"])
    wrote = {path: bench.json("image", "explain", "--id", str(made["dbId"]), f"/{path}")["origin"]["by"] for path in (*OF_A_MACHINE, "boot/grub/grub.cfg")}
    assert wrote == {**dict.fromkeys(OF_A_MACHINE, "overlay"), "etc/crypttab": "last pass", "boot/grub/grub.cfg": "last pass"}
    bench.cli("image", "delete", "--publish-id", str(told["made"]["publish"]))
    bench.cli("migration", "delete", str(told["dbId"]))
    bench.cli("image", "delete", "--id", str(made["dbId"]))
