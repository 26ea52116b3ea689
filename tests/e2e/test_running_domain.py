"""The image that was built, as a live system: scanned while it runs, by the real hammr from behind QEMU's user-mode network and by its guest
agent, changed in known ways, scanned again, and at last from its disk."""

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
from support.bench import Bench
from support.drifting import Drifted, Subject
from support.guestshell import shell_in
from support.hammr import Hammr, install
from support.service import SCANS

from builders import machine as machines
from builders.machine import Machine, booted, domain_xml
from scanner.compare import compare_files
from scanner.progress import Silent
from scanner.report import Machine as Facts
from scanner.report import Report
from scanner.scan import scan as scan_target
from scanner.targets.contract import the_capture_brings_what_is_asked_and_leaves_out_what_is_gone
from scanner.targets.libvirt import LibvirtTarget

pytestmark = [pytest.mark.e2e, pytest.mark.docker, pytest.mark.libvirt, pytest.mark.dib, pytest.mark.hammr]

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
def machine(bench: Bench, image: int, work: Path) -> Iterator[Machine]:
    """The copy, running behind a gateway; root logs in by password, as old clients do it. Machines of Forgelet reach nothing outside
    (`restrict=on`), so this one is started here. It reaches this machine's loopback by its gateway, and nothing else: its link comes up only
    after every other route has been forbidden.
    """
    import libvirt_qemu

    def link(up: bool) -> None:
        said = libvirt_qemu.qemuMonitorCommand(found.domain, json.dumps({"execute": "set_link", "arguments": {"name": "forgelet0", "up": up}}), 0)
        assert "error" not in json.loads(said), said

    built = bench.data / "images" / str(image) / "image.qcow2"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(machines, "domain_xml", lambda wanted: domain_xml(wanted).replace("restrict=on", "restrict=off"))
        with booted(built, "qcow2", 1024, work, hostname="behind", forwards=[22]) as found:
            link(up=False)
            found.wait_for_agent()
            assert told(found, ONLY_THE_GATEWAY) == ""
            link(up=True)
            told(found, LET_IN)
            yield found


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


@pytest.fixture(scope="module")
def looks(bench: Bench, machine: Machine, work: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Drifted, Report, str]]:
    """What the guest agent showed before and after a drift, what the disk showed after the machine was switched off, and what `scan targets` said."""
    machine.execute("/bin/systemctl", "is-system-running", "--wait", timeout=300)
    machine.execute("/bin/sh", "-c", HELLO)
    listed = bench.cli("scan", "targets", "-o", "json")
    target = LibvirtTarget(machine.name, work=work)
    the_capture_brings_what_is_asked_and_leaves_out_what_is_gone(target, work)
    system = truth.System(shell_in(machine), pruned=EXCLUDES)
    (drifted,) = Subject(machine.name, lambda: target, system, lambda: tmp_path_factory.mktemp("look"), AREAS, BUSY).drifts([401], COUNT)
    _nothing_stays(machine)
    _a_scan_that_is_killed_leaves_nothing(bench, machine)
    machine.execute("/bin/sync")
    machine.domain.destroy()
    name = f"forgelet-test-{uuid.uuid4().hex[:8]}"
    (work / "domain.xml").write_text(XML.format(name=name, disk=machine.disk))
    virsh("define", str(work / "domain.xml"))
    try:
        off = scan_target(LibvirtTarget(name, work=work / "mounts"), work / "off", Silent(), excludes=EXCLUDES)
        yield drifted, off, listed
    finally:
        virsh("undefine", name)


@pytest.fixture
def reports(looks: tuple[Drifted, Report, str]) -> tuple[Report, Report, str]:
    """The machine as it was last while it ran, and as its disk is."""
    drifted, off, listed = looks
    return drifted.after.report, off, listed


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


def test_what_drifts_in_a_machine_is_found_to_the_last_field(looks: tuple[Drifted, Report, str]) -> None:
    assert len(looks[0].done.mutations) == COUNT
    looks[0].check()


def test_the_guest_agent_and_the_disk_show_the_same_machine(reports: tuple[Report, Report, str]) -> None:
    running, off, _ = reports
    found = [one for one in compare_files(running, off) if not one.path.startswith(BUSY)]
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
