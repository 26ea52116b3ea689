"""The contract of clouds, kept by the fake and by the local one; what is offered; the flavors and limits of the local cloud."""

from __future__ import annotations

import io
import json
import os
import signal
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pycdlib
import pytest
from support.tinydisk import image_folder, offer, raw_disk

from builders import configdrive
from builders.clouds import contract, local
from builders.clouds.base import InstanceState, Request
from builders.clouds.fake import FakeCloud
from builders.clouds.local import LocalCloud
from builders.clouds.offer import check, offer_of
from builders.configdrive import Identity
from builders.errors import BuildFailed, CloudRefused
from builders.image import ImageFile
from scanner.errors import Cancelled, NotFound
from scanner.host.run import run
from scanner.progress import Silent


@pytest.fixture(params=["fake", "local"])
def cloud(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return FakeCloud() if request.param == "fake" else LocalCloud(tmp_path / "cloud", "root")


@pytest.mark.parametrize("check", contract.CHECKS, ids=lambda one: one.__name__)
def test_the_contract(cloud: Any, check: contract.Check, tmp_path: Path) -> None:
    check(cloud, offer(tmp_path / "image"), tmp_path)


def test_what_is_offered_is_looked_at_first(tmp_path: Path) -> None:
    image_folder(tmp_path)
    assert offer_of(tmp_path, "x", public=False, source=None).properties["hw_disk_bus"] == "virtio"
    raw_disk(tmp_path / "image.raw", partition=False)
    with pytest.raises(BuildFailed, match="no partition table with partitions"):
        offer_of(tmp_path, "x", public=False, source=None)
    (tmp_path / "image.raw").write_bytes(b"QFI\xfb" + bytes((4 << 20) - 4))
    with pytest.raises(BuildFailed, match="is not the raw file that was built"):
        offer_of(tmp_path, "x", public=False, source=None)


@pytest.mark.parametrize("subformat", ["fixed", "dynamic"])
def test_a_vhd_is_told_from_a_raw_disk_by_its_end(tmp_path: Path, subformat: str) -> None:
    raw_disk(tmp_path / "disk.raw")
    run(["qemu-img", "convert", "-f", "raw", "-O", "vpc", "-o", f"subformat={subformat},force_size=on", str(tmp_path / "disk.raw"), str(tmp_path / "disk.vhd")])
    check(tmp_path / "disk.vhd", ImageFile(format="vhd", name="disk.vhd", size=1, sha256=""))
    with pytest.raises(BuildFailed, match=r"disk\.vhd is not the raw file that was built"):
        check(tmp_path / "disk.vhd", ImageFile(format="raw", name="disk.vhd", size=1, sha256=""))
    with pytest.raises(BuildFailed, match=r"disk\.raw is not the vhd file that was built"):
        check(tmp_path / "disk.raw", ImageFile(format="vhd", name="disk.raw", size=1, sha256=""))


@pytest.mark.parametrize(("format", "content"), [("vhd", bytes(1 << 20) + b"conectix" + bytes(504)), ("qcow2", b"QFI\xfb" + bytes(1 << 20))])
def test_a_damaged_file_is_told_in_words_of_ours(tmp_path: Path, format: str, content: bytes) -> None:
    (tmp_path / "disk").write_bytes(content)
    with pytest.raises(BuildFailed, match=f"disk cannot be read as {format}") as told:
        check(tmp_path / "disk", ImageFile(format=format, name="disk", size=1, sha256=""))
    assert told.value.hint == "build the image again"


def test_what_a_killed_publication_left_is_taken_away_by_what_it_began_as(tmp_path: Path) -> None:
    class Killed(Silent):
        def moved(self, count: int) -> None:
            os.kill(os.getpid(), signal.SIGKILL)

    given, began = offer(tmp_path / "image"), tmp_path / "began"
    child = os.fork()
    if not child:
        try:
            LocalCloud(tmp_path / "cloud", "root").publish(given, Killed(), lambda cloud_id: began.write_text(cloud_id) and None)
        finally:
            os._exit(1)
    os.waitpid(child, 0)
    assert len(list((tmp_path / "cloud/images").iterdir())) == 1
    with pytest.raises(NotFound):
        LocalCloud(tmp_path / "cloud", "root").withdraw(began.read_text())
    assert list((tmp_path / "cloud/images").iterdir()) == []


@pytest.fixture
def machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalCloud:
    """A local cloud without libvirt: what is started runs. It has 1200 MiB, and one image."""
    monkeypatch.setattr(local, "_memory", lambda: 1200)
    monkeypatch.setattr(local, "_state", lambda _: (InstanceState.ACTIVE, ""))
    monkeypatch.setattr(LocalCloud, "bring_up", lambda *_, **__: None)
    return LocalCloud(tmp_path / "cloud", "root")


def test_memory_is_given_once(machines: LocalCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = machines.publish(offer(tmp_path / "image"), Silent(), lambda _: None)
    machines.provision(sent.cloud_id, Request("first", "f1.tiny"), Silent(), lambda _: None)
    together, real, ended = threading.Barrier(2), LocalCloud._check, []

    def check_slowly(self: LocalCloud, *asked: Any) -> None:
        real(self, *asked)
        with suppress(threading.BrokenBarrierError):
            together.wait(0.5)

    monkeypatch.setattr(LocalCloud, "_check", check_slowly)

    def make(name: str) -> None:
        try:
            machines.provision(sent.cloud_id, Request(name, "f1.tiny"), Silent(), lambda _: None)
            ended.append("")
        except CloudRefused as refused:
            ended.append("\n".join(refused.problems))

    threads = [threading.Thread(target=make, args=(name,)) for name in ("second", "third")]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sorted(ended) == ["", "flavor f1.tiny needs 512 MiB of memory, and 176 are free on this machine"]
    assert machines.check().facts["memory"] == "176 MiB free for instances"


def test_an_instance_that_does_not_run_takes_no_memory(machines: LocalCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = machines.publish(offer(tmp_path / "image"), Silent(), lambda _: None)
    machines.provision(sent.cloud_id, Request("first", "f1.tiny"), Silent(), lambda _: None)
    assert machines._taken() == 512
    monkeypatch.setattr(local, "_state", lambda _: (InstanceState.SHUTOFF, ""))
    assert machines._taken() == 0


def test_a_cancel_while_it_is_noted_leaves_no_instance(machines: LocalCloud, tmp_path: Path) -> None:
    def cancelled(_: str) -> None:
        raise Cancelled("cancelled")

    sent = machines.publish(offer(tmp_path / "image"), Silent(), lambda _: None)
    with pytest.raises(Cancelled):
        machines.provision(sent.cloud_id, Request("web", "f1.tiny"), Silent(), cancelled)
    assert list((tmp_path / "cloud").glob("instances/*")) == []
    assert machines._taken() == 0


def test_what_a_killed_job_began_of_an_instance_is_taken_away_by_what_it_began_as(machines: LocalCloud, tmp_path: Path) -> None:
    began = tmp_path / "cloud/instances/.00000000-0000-0000-0000-000000000001"
    began.mkdir(parents=True)
    (began / "instance.json").write_text("{}")
    assert machines._taken() == 0
    with pytest.raises(NotFound):
        machines.terminate(began.name[1:])
    assert not began.exists()


def test_a_tenants_images_are_his_own(tmp_path: Path) -> None:
    mine, hers = LocalCloud(tmp_path / "cloud", "root"), LocalCloud(tmp_path / "cloud", "alice")
    sent = mine.publish(offer(tmp_path / "image"), Silent(), lambda _: None)
    for ask in (hers.withdraw, lambda cloud_id: hers.fetch(cloud_id, tmp_path / "x", Silent())):
        with pytest.raises(NotFound):
            ask(sent.cloud_id)
    assert hers.publish(offer(tmp_path / "again"), Silent(), lambda _: None).cloud_id != sent.cloud_id


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (Request("web", "m1.giant"), "there is no flavor 'm1.giant'"),
        (Request("web", "f1.tiny", networks=("moon",)), "network 'moon'"),
        (Request("web", "f1.tiny", ports=(0,)), "port 0"),
        (Request("web", "f1.xlarge"), "8192 MiB of memory, and 3072 are free"),
    ],
)
def test_what_the_machine_cannot_give_is_refused_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request_: Request, said: str) -> None:
    monkeypatch.setattr(local, "_memory", lambda: 3072)
    cloud = LocalCloud(tmp_path / "cloud", "root")
    sent = cloud.publish(offer(tmp_path / "image"), Silent(), lambda _: None)
    with pytest.raises(CloudRefused) as refused:
        cloud.provision(sent.cloud_id, request_, Silent(), lambda _: None)
    assert said in "\n".join([refused.value.message, *refused.value.problems])
    assert list((tmp_path / "cloud").glob("instances/*")) == []


def test_a_flavor_smaller_than_the_image_is_refused_with_those_that_do(tmp_path: Path) -> None:
    cloud = LocalCloud(tmp_path / "cloud", "root")
    image_folder(tmp_path / "image")
    record = json.loads((tmp_path / "image/image.json").read_text())
    (tmp_path / "image/image.json").write_text(json.dumps({**record, "virtual_size": 9 << 30, "memory": 700}))
    sent = cloud.publish(offer_of(tmp_path / "image", "x", public=False, source=None), Silent(), lambda _: None)
    with pytest.raises(CloudRefused) as refused:
        cloud.provision(sent.cloud_id, Request("web", "f1.tiny"), Silent(), lambda _: None)
    assert refused.value.problems == ("the image needs a disk of 9 GiB, the flavor has 5", "the image needs 700 MiB of memory, the flavor has 512")
    assert refused.value.hint.startswith("flavors that do: f1.small")


def test_the_config_drive_has_what_novas_has(tmp_path: Path) -> None:
    who = Identity("web", "web-1", "00000000-0000-0000-0000-000000000001", ("ssh-ed25519 AAAA me",), "#cloud-config\n{}\n", "fa:16:3e:00:00:01")
    configdrive.write(tmp_path / "drive.iso", who)
    disc = pycdlib.PyCdlib()
    disc.open(str(tmp_path / "drive.iso"))

    def read(name: str) -> bytes:
        out = io.BytesIO()
        disc.get_file_from_iso_fp(out, rr_path=f"/openstack/latest/{name}")
        return out.getvalue()

    meta = json.loads(read("meta_data.json"))
    assert (meta["hostname"], meta["name"], meta["uuid"], list(meta["public_keys"].values())) == ("web", "web-1", who.id, ["ssh-ed25519 AAAA me"])
    assert read("user_data") == b"#cloud-config\n{}\n"
    assert json.loads(read("network_data.json"))["links"][0]["ethernet_mac_address"] == "fa:16:3e:00:00:01"
    assert json.loads(read("vendor_data.json")) == {}
    disc.close()
