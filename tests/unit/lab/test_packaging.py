"""Ways to start Forgelet other than a clone: what they name is there, and they keep to this machine's loopback."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[3]
PROVISION = ROOT / "vagrant/provision.sh"


def test_the_provisioning_script_parses_and_refuses_a_folder_without_a_clone(tmp_path: Path) -> None:
    subprocess.run(["bash", "-n", str(PROVISION)], check=True)
    done = subprocess.run(["bash", str(PROVISION), str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "there is no clone of Forgelet" in done.stderr or "wants root" in done.stderr


def test_the_machine_is_provisioned_by_the_script_that_the_demo_uses() -> None:
    call = "/scripts/install.sh"
    assert call in PROVISION.read_text()
    assert call in (ROOT / "scripts/demo.sh").read_text()


def test_every_forwarded_port_of_the_machine_is_on_loopback() -> None:
    said = (ROOT / "vagrant/Vagrantfile").read_text()
    ports = re.findall(r"^ *config\.vm\.network .*$", said, re.MULTILINE)
    assert ports and all('host_ip: "127.0.0.1"' in line for line in ports)
    assert said.index(":libvirt do") < said.index(":virtualbox do")
    assert all(f'ENV.fetch("{name}"' in said for name in ("FORGELET_BOX", "FORGELET_MIRROR"))


def test_the_unit_starts_the_service_from_where_it_was_installed() -> None:
    unit = (ROOT / "packaging/forgelet.service").read_text()
    assert "ExecStart=@PREFIX@/bin/forgelet serve\n" in unit
    assert "s|@PREFIX@|" in PROVISION.read_text()


def test_every_stage_of_the_container_image_has_the_base_that_was_asked_for() -> None:
    said = (ROOT / "packaging/Dockerfile").read_text()
    assert re.findall(r"^FROM (\S+)", said, re.MULTILINE) == ["${BASE}", "${BASE}"]
    assert all(path in (".", "/opt/forgelet") for path in re.findall(r"^COPY (?:--from=built )?(\S+) ", said, re.MULTILINE))


def test_the_composed_service_listens_on_loopback_and_keeps_its_data() -> None:
    service = yaml.safe_load((ROOT / "packaging/compose.yml").read_text())["services"]["forgelet"]
    assert service["network_mode"] == "host"
    assert service["environment"]["FORGELET_HOST"] == "127.0.0.1"
    assert "ports" not in service
    assert service["environment"]["FORGELET_URL"] == "http://127.0.0.1:${FORGELET_PORT:-8090}/api", "the command line inside finds it"
    assert "privileged" not in service, "what it needs is named"
    numbers = {rule.split()[1] for rule in service["device_cgroup_rules"]}
    assert {"7:*", "10:237", "10:229"} <= numbers, "loop devices, their control, FUSE"
    assert (ROOT / "packaging" / service["build"]["context"] / service["build"]["dockerfile"]).is_file()
    assert "/var/lib/forgelet:/var/lib/forgelet" in service["volumes"]
