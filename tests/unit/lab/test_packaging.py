"""Ways to start Forgelet other than a clone: what they name is there, and they keep to this machine's loopback."""

from __future__ import annotations

import re
import shutil
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


def test_the_forwarded_port_is_on_loopback_here_and_ends_where_the_service_listens() -> None:
    """libvirt's tunnel can end on the machine's loopback; VirtualBox's ends at its network card, where the service then listens, with a token."""
    said = (ROOT / "vagrant/Vagrantfile").read_text()
    assert re.search(r'port = \{ guest: 8090, host: .*, host_ip: "127.0.0.1" \}', said)
    providers = dict(re.findall(r"^  config\.vm\.provider :(\w+) do .*?\n(.*?)^  end$", said, re.MULTILINE | re.DOTALL))
    assert re.findall(r'"forwarded_port", (.*)', providers["libvirt"]) == ['**port, guest_ip: "127.0.0.1"']
    assert re.findall(r'"forwarded_port", (.*)', providers["virtualbox"]) == ["**port"]
    assert said.count("forwarded_port") == 2
    assert "FORGELET_HOST" not in providers["libvirt"]
    assert '"FORGELET_HOST" => "0.0.0.0"' in providers["virtualbox"]
    assert "setting FORGELET_TOKEN" in PROVISION.read_text()
    assert said.index(":libvirt do") < said.index(":virtualbox do")
    assert all(f'ENV.fetch("{name}"' in said for name in ("FORGELET_BOX", "FORGELET_MIRROR"))


def test_the_unit_starts_the_service_from_where_it_was_installed() -> None:
    unit = (ROOT / "packaging/forgelet.service").read_text()
    assert "ExecStart=@PREFIX@/bin/forgelet serve\n" in unit
    assert "s|@PREFIX@|" in PROVISION.read_text()


if shutil.which("systemd-analyze"):

    def test_systemd_takes_the_unit(tmp_path: Path) -> None:
        command = tmp_path / "bin/forgelet"
        command.parent.mkdir()
        command.write_text("#!/bin/sh\n")
        command.chmod(0o755)
        unit = tmp_path / "forgelet.service"
        unit.write_text((ROOT / "packaging/forgelet.service").read_text().replace("@PREFIX@", str(tmp_path)))
        done = subprocess.run(["systemd-analyze", "verify", "--recursive-errors=no", str(unit)], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")


def test_nothing_of_a_machine_that_vagrant_made_is_kept() -> None:
    kept = subprocess.run(["git", "ls-files", "vagrant"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert kept == ["vagrant/Vagrantfile", "vagrant/provision.sh"]
    ignored = subprocess.run(["git", "check-ignore", "-q", "vagrant/.vagrant/x"], cwd=ROOT, check=False)
    assert ignored.returncode == 0


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
