"""The same chain by the real hammr alone: it scans a machine over SSH, builds, downloads and deletes; and it migrates in one command."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support.behind import PASSWORD, told
from support.bench import Bench
from support.hammr import Hammr
from support.openstack import PASSWORD as CLOUD_PASSWORD
from support.openstack import Openstack
from support.service import SCANS
from support.witness import tree_of

from builders.machine import Machine
from scanner.report import Report

pytestmark = [pytest.mark.e2e, pytest.mark.docker, pytest.mark.libvirt, pytest.mark.dib, pytest.mark.hammr]

BUILDERS = """---
builders:
- type: OpenStack VMDK
  installation: {diskSize: 2048, swapSize: 0}
  hardwareSettings: {memory: 1024}
"""
EXCLUDES = ("/usr/lib", "/usr/share")
HELD = ("/etc/hostname", "/etc/passwd", "/etc/fstab", "/usr/sbin/nginx")


@pytest.fixture(scope="module")
def scanned(bench: Bench, machine: Machine, hammr: Hammr) -> int:
    """The number of hammr's scan of the machine, with overlay; without most of its bytes, as an emulated processor takes its time for each."""
    assert hammr.url.startswith("http://127.0.0.1:"), "of no use to the machine, which has a loopback of its own"
    bench.service.until(lambda: "default via 10.0.2.2" in told(machine, "ip route"), 60)
    where = ["--ip", "127.0.0.1", "--scan-port", str(machine.ports[22]), "--scan-login", "root", "--scan-password", PASSWORD, "--exclude", *EXCLUDES]
    said = hammr("scan", "run", *where, "--name", "behind", "--overlay", timeout=600).text
    assert "SUCCESS!" in said and "Scan successful" in said
    return _scan(bench, "behind")


def _scan(bench: Bench, name: str) -> int:
    groups = bench.service.http.get(SCANS, params={"includeScans": "true"}).json()["scannedInstances"]["scannedInstance"]
    [one] = [scan for group in groups if group["name"] == name for scan in group["scans"]["scan"]]
    assert one["status"]["complete"]
    return int(one["dbId"])


def images(bench: Bench) -> dict[int, dict[str, Any]]:
    return {one["dbId"]: one for one in bench.json("image", "list")["images"]["image"]}


def test_hammr_scans_a_machine_behind_a_user_mode_network(bench: Bench, machine: Machine, scanned: int) -> None:
    report = Report(bench.data / "scans" / str(scanned))
    table = {entry.path: entry for entry in report.files()}
    held = dict(reversed(line.split(maxsplit=1)) for line in told(machine, f"sha256sum {' '.join(HELD)}").splitlines())
    assert {path: table[path].sha256 for path in HELD} == held
    assert (report.head.system.hostname, report.head.overlay) == ("behind", True)
    assert told(machine, "ls -d /tmp/*uforge* 2> /dev/null || echo none") == "none", "the agent stays nowhere"


def test_hammr_builds_and_downloads_an_image_that_boots_and_is_the_machine(bench: Bench, machine: Machine, scanned: int, hammr: Hammr, tmp_path: Path) -> None:
    before, file, builders = images(bench), tmp_path / "downloaded.vmdk", tmp_path / "builders.yml"
    builders.write_text(BUILDERS)
    hammr("scan", "build", "--id", str(scanned), "--file", str(builders), timeout=600)
    ((number, made),) = [(number, one) for number, one in images(bench).items() if number not in before]
    assert (made["status"]["complete"], made["targetFormat"]["format"]["name"]) == (True, "openstackvmdk"), made["status"]
    assert str(number) in [row[0] for row in hammr("image", "list").rows()]
    assert "Debian" in hammr("image", "info", "--id", str(number)).text
    hammr("image", "download", "--id", str(number), "--file", str(file))
    assert hashlib.sha256(file.read_bytes()).hexdigest() == made["files"][0]["sha256"]
    said = json.loads(subprocess.run(["qemu-img", "info", "--output=json", str(file)], capture_output=True, check=True).stdout)
    assert (said["format"], said["virtual-size"]) == ("vmdk", 2 << 30)
    # What is booted is the very file that was downloaded: the hashes are the same.
    found = bench.json("image", "verify", "--id", str(number), "--source", f"libvirt:{machine.name}")
    assert [one for one in found["differences"] if one["rule"] is None] == []
    assert found["scopes"]["files"]["equal"] > 1500 and found["proven"]["image"] == made["files"][0]["sha256"]
    hammr("image", "delete", "--id", str(number), typed="y\n")
    assert images(bench).keys() == before.keys()
    assert not (bench.data / "images" / str(number)).exists()


def test_hammr_migrates_in_one_command_to_a_real_glance(bench: Bench, machine: Machine, hammr: Hammr, openstack: Openstack, tmp_path: Path) -> None:
    """Without the machine's files: what comes is its packages, accounts and services."""
    (tmp_path / "a.yml").write_text(
        f"accounts: [{{type: OpenStack, name: theirs, glanceUrl: '{openstack.glance}', keystoneUrl: '{openstack.keystone}', keystoneVersion: v3, login: demo, password: {CLOUD_PASSWORD}}}]\n"
    )
    hammr("account", "create", "--file", str(tmp_path / "a.yml"))
    (tmp_path / "m.yml").write_text(
        f"""---
migration:
  name: by-hammr
  os: linux
  source: {{host: 127.0.0.1, ssh-port: {machine.ports[22]}, user: root, password: {PASSWORD}, overlay: false, exclude: [/usr, /boot, /var/lib]}}
  target:
    builder: {{type: OpenStack QCOW2, account: {{name: theirs}}, displayName: moved-by-hammr, tenantName: demo, installation: {{diskSize: 2000}}}}
"""
    )
    hammr("migration", "launch", "--file", str(tmp_path / "m.yml"), timeout=300)
    [made] = bench.json("migration", "list")["migrations"]["migration"]
    bench.service.until(lambda: bench.json("migration", "show", str(made["dbId"]))["state"] != "running", 300)
    done = bench.json("migration", "show", str(made["dbId"]))
    assert (done["state"], done["made"]["scan"]) == ("done", _scan(bench, "by-hammr")), done
    [there] = openstack.images()
    image = bench.json("image", "show", "--id", str(done["made"]["build"]))
    assert (there["name"], there["status"], there["forgelet_sha256"]) == ("moved-by-hammr", "active", image["files"][0]["sha256"])
    assert image["notBrought"]["no overlay"] > 0
    with tree_of(bench.data / "images" / str(image["dbId"]) / image["files"][0]["name"], tmp_path) as root:
        accounts = {line.split(":")[0]: line.split(":")[2] for line in (root / "etc/passwd").read_text().splitlines()}
        assert {line.split(":")[0]: line.split(":")[2] for line in told(machine, "cat /etc/passwd").splitlines()}.items() <= accounts.items()
        assert (root / "etc/systemd/system/multi-user.target.wants/nginx.service").is_symlink()
        assert not (root / "root/x.log").exists(), "of nobody's package, so only an overlay brings it"
    assert str(done["made"]["publish"]) in hammr("image", "list").text
    bench.cli("image", "delete", "--publish-id", str(done["made"]["publish"]))
    assert openstack.images() == []
    bench.cli("image", "delete", "--id", str(image["dbId"]))
    hammr("migration", "delete", "--id", str(made["dbId"]), "--no-confirm")
    assert bench.json("migration", "list")["migrations"]["migration"] == []
