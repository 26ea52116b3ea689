"""The local cloud on the real libvirt, through the service: an instance of the smallest disk that boots."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.planted import planted_image
from support.service import Service

from builders.clouds.local import LocalCloud
from emulator import clean

pytestmark = pytest.mark.libvirt
BASE = "/api/users/root"


def domains() -> set[str]:
    said = subprocess.run(["virsh", "-q", "-c", "qemu:///system", "list", "--all", "--name"], capture_output=True, text=True, check=True).stdout
    return {name for name in said.split() if name.startswith("forgelet-instance-")}


def below(folder: Path) -> set[str]:
    """The instances whose disks lie below a folder: other tests have instances at the same time."""
    shown = {name: subprocess.run(["virsh", "-q", "-c", "qemu:///system", "dumpxml", name], capture_output=True, text=True, check=False).stdout for name in domains()}
    return {name for name, xml in shown.items() if f"'{folder}/" in xml}


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    running = Service(tmp_path / "data")
    try:
        yield running
    finally:
        running.http.post("/_forgelet/reset")
        running.until(lambda: not running.http.get("/_forgelet/reset").json()["pending"])
        running.close()
        assert below(tmp_path) == set()


def published(service: Service, tmp_path: Path) -> dict[str, Any]:
    image = planted_image(service, tmp_path / "tree", "qcow2")
    sent = service.http.post(f"/api/{image['uri']}/pimages", json={"credAccount": {"name": "local"}, "displayName": "tiny"}).json()
    assert service.ended(sent["jobId"])["state"] == "done"
    told: dict[str, Any] = service.http.get(f"{BASE}/pimages/{sent['dbId']}").json()
    return told


def deployed(service: Service, sent: dict[str, Any], name: str = "tiny-1", flavor: str = "f1.tiny") -> dict[str, Any]:
    made = service.http.post(f"{BASE}/pimages/{sent['dbId']}/deployments", json={"name": name, "flavor": flavor, "ports": [80]}).json()
    job = service.ended(made["jobId"])
    assert job["state"] == "done", job
    told: dict[str, Any] = service.http.get(f"{BASE}/deployments/{made['applicationId']}").json()
    return told


def test_an_instance_runs_is_found_after_a_restart_and_leaves_nothing(service: Service, tmp_path: Path) -> None:
    sent = published(service, tmp_path)
    made = deployed(service, sent)
    place = f"{BASE}/deployments/{made['applicationId']}"
    assert (made["state"], set(made["ports"])) == ("running", {"22", "80"})
    assert f"forgelet-instance-{made['cloudId']}" in domains()
    service.until(lambda: "forgelet boot sector" in service.http.get(f"{place}/console").text)
    folder = service.data / "cloud/instances" / made["cloudId"]
    size = subprocess.run(["qemu-img", "info", "-U", str(folder / "disk.qcow2")], capture_output=True, text=True, check=True).stdout
    assert "virtual size: 5 GiB" in size

    assert service.end(signal.SIGKILL) < 0
    again = Service(service.data)
    try:
        found = again.http.get(place).json()
        assert (found["state"], found["ports"]) == ("running", made["ports"])
        # Ended from outside, as by a power cut.
        subprocess.run(["virsh", "-q", "-c", "qemu:///system", "destroy", f"forgelet-instance-{made['cloudId']}"], check=True)
        assert again.http.get(place).json()["state"] == "stopped"
        assert "is in use by" in again.http.delete(f"{BASE}/pimages/{sent['dbId']}").text
        assert again.http.delete(place).status_code == 204
        assert not folder.exists()
        assert f"forgelet-instance-{made['cloudId']}" not in domains()
        assert again.http.delete(f"{BASE}/pimages/{sent['dbId']}").status_code == 204
        assert list((service.data / "cloud/images").iterdir()) == []
    finally:
        again.close()
    service.__init__(service.data)  # type: ignore[misc]


def test_its_states_are_novas(service: Service, tmp_path: Path) -> None:
    """BUILD while it is made, ACTIVE, SHUTOFF when it was switched off, ERROR when its machine died under it."""
    sent = published(service, tmp_path)
    service.fault("provision.start", "hang")
    made = service.http.post(f"{BASE}/pimages/{sent['dbId']}/deployments", json={"name": "held", "flavor": "f1.tiny"}).json()
    service.in_stage(made["jobId"], "provision.start")
    place = f"{BASE}/deployments/{made['applicationId']}"
    assert service.http.get(place).json()["state"] == "starting"
    [folder] = (service.data / "cloud/instances").iterdir()
    assert LocalCloud(service.data / "cloud", "root").instance(folder.name).state == "BUILD"
    assert service.http.delete(place).status_code == 204
    assert not folder.exists()

    found = deployed(service, sent)
    place, name = f"{BASE}/deployments/{found['applicationId']}", f"forgelet-instance-{found['cloudId']}"
    virsh = ["virsh", "-q", "-c", "qemu:///system"]
    assert found["state"] == "running"
    subprocess.run([*virsh, "destroy", name], check=True)
    assert service.http.get(place).json()["state"] == "stopped"
    subprocess.run([*virsh, "start", name], check=True)
    assert service.http.get(place).json()["state"] == "running"
    os.kill(int(Path(f"/run/libvirt/qemu/{name}.pid").read_text()), signal.SIGKILL)
    told = service.until(lambda: (now := service.http.get(place).json())["state"] == "on-fire" and now)
    assert told["fault"] == "the machine crashed"
    assert service.http.delete(place).status_code == 204
    assert name not in domains()


def test_clean_takes_instances_that_run(service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = deployed(service, published(service, tmp_path))
    name = f"forgelet-instance-{made['cloudId']}"
    monkeypatch.setattr(clean, "MACHINES", name)
    monkeypatch.setattr(clean, "OURS", "forgelet-test-none")
    service.end(signal.SIGTERM)
    assert name in domains()
    clean.clean(service.data)
    assert name not in domains()
    assert not service.data.exists()
    service.__init__(service.data)  # type: ignore[misc]


@pytest.mark.parametrize("action", ["fail", "kill"])
@pytest.mark.parametrize("stage", ["provision.disk", "provision.start"])
def test_what_breaks_off_leaves_no_instance(service: Service, tmp_path: Path, stage: str, action: str) -> None:
    sent = published(service, tmp_path)
    service.fault(stage, action)
    made = service.http.post(f"{BASE}/pimages/{sent['dbId']}/deployments", json={"name": "tiny", "flavor": "f1.tiny"}).json()
    assert service.ended(made["jobId"])["state"] == "failed"
    assert service.http.get(f"{BASE}/deployments/{made['applicationId']}/status").json()["message"] == "on-fire"
    service.until(lambda: list((service.data / "cloud/instances").iterdir()) == [])
    assert below(tmp_path) == set()


def test_a_reset_ends_instances(service: Service, tmp_path: Path) -> None:
    made = deployed(service, published(service, tmp_path))
    assert f"forgelet-instance-{made['cloudId']}" in domains()
    assert service.http.post("/_forgelet/reset").json()["removed"]["deployment"] == 1
    service.until(lambda: not service.http.get("/_forgelet/reset").json()["pending"])
    assert f"forgelet-instance-{made['cloudId']}" not in domains()
    assert not (service.data / "cloud/instances").exists()


def test_a_snapshot_brings_an_instance_back_with_its_disk_here_and_on_another_machine(service: Service, tmp_path: Path) -> None:
    made = deployed(service, published(service, tmp_path))
    place, domain = f"{BASE}/deployments/{made['applicationId']}", f"forgelet-instance-{made['cloudId']}"
    disk = service.data / "cloud/instances" / made["cloudId"] / "disk.qcow2"
    service.until(lambda: "forgelet boot sector" in service.http.get(f"{place}/console").text)
    saved = service.http.post("/_forgelet/snapshots/running", timeout=120)
    assert saved.status_code == 201, saved.text
    assert saved.json()["instances"] == {made["cloudId"]: "running"}
    assert service.http.get(place).json()["state"] == "running"
    before = disk.stat().st_size

    assert service.http.delete(place).status_code == 204
    assert domain not in domains()
    told = service.http.post("/_forgelet/snapshots/running/load", timeout=180)
    assert told.json() == {"instances": {made["cloudId"]: "running"}}, told.text
    found = service.http.get(place).json()
    assert (found["state"], found["ports"]) == ("running", made["ports"])
    assert below(tmp_path) == {domain}
    service.until(lambda: "forgelet boot sector" in service.http.get(f"{place}/console").text)

    # While it runs here its ports are taken, and another service is told so; once it is gone, it runs there, on the image of there.
    packed = service.http.get("/_forgelet/snapshots/running/archive", timeout=120).content
    other = Service(tmp_path / "other")
    try:
        assert other.http.post("/_forgelet/snapshots", content=packed, timeout=120).status_code == 201
        refused = other.http.post("/_forgelet/snapshots/running/load", timeout=120)
        assert refused.status_code == 409
        assert "is taken" in refused.text
        service.http.post("/_forgelet/reset")
        service.until(lambda: not service.http.get("/_forgelet/reset").json()["pending"])
        assert other.http.post("/_forgelet/snapshots/running/load", timeout=180).json() == {"instances": {made["cloudId"]: "running"}}
        there = other.data / "cloud/instances" / made["cloudId"] / "disk.qcow2"
        shown = subprocess.run(["qemu-img", "info", "-U", "--output=json", str(there)], capture_output=True, text=True, check=True).stdout
        assert str(other.data) in shown
        assert str(service.data) + "/" not in shown
        assert there.stat().st_size == before
    finally:
        other.http.post("/_forgelet/reset")
        other.until(lambda: not other.http.get("/_forgelet/reset").json()["pending"])
        other.close()
