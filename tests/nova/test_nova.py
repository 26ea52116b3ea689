"""An image in a real Glance becomes a machine of a real Nova, by the command line; what it says and what it was given is looked at.

The disk is the smallest that boots. It has no network: Neutron is a stand-in (`support/neutron.py`).
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pycdlib
import pytest
from keystoneauth1.exceptions import ConnectFailure
from support.bench import Bench
from support.nova import Compute
from support.openstack import PASSWORD
from support.planted import planted_image

from builders.clouds.base import Request
from builders.clouds.openstack import OpenstackCloud
from scanner.errors import Unreachable
from scanner.progress import Silent

pytestmark = pytest.mark.libvirt
WORD = "forgelet user data"
BUILDER = """---
builders:
- type: openstack
  hardwareSettings: {memory: 64}
  installation: {diskSize: 64}
  account: {name: cloud, file: account.yml}
  tenant: demo
  imageName: to-nova
  publicImage: 'no'
"""


@pytest.fixture(scope="module")
def flavors(openstack: Compute) -> None:
    for name, memory in (("one", 128), ("tiny", 32), ("vast", 4 << 20)):
        openstack.cli("flavor", "create", "--ram", str(memory), "--disk", "1", "--vcpus", "1", name, user="admin", project="admin")


@pytest.fixture(scope="module")
def sent(bench: Bench, openstack: Compute, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The publication."""
    folder = tmp_path_factory.mktemp("publication")
    (folder / "account.yml").write_text(
        f"accounts: [{{type: OpenStack, name: cloud, glanceUrl: '{openstack.glance}', keystoneUrl: '{openstack.keystone}', keystoneVersion: v3, login: demo, password: {PASSWORD}}}]\n"
    )
    (folder / "b.yml").write_text(BUILDER)
    image = planted_image(bench.service, folder / "tree", "qcow2")
    told: dict[str, Any] = bench.json("image", "publish", "--id", str(image["dbId"]), "--file", str(folder / "b.yml"))
    return told


@pytest.fixture(scope="module")
def deployment(bench: Bench, openstack: Compute, sent: dict[str, Any], flavors: None, key: Path) -> Iterator[dict[str, Any]]:
    script = key.with_name("user-data")
    script.write_text(f"#!/bin/sh\necho {WORD}\n")
    asked = ["--publish-id", str(sent["dbId"]), "--name", "copy-1", "--flavor", "one", "--key", str(key), "--user-data", str(script)]
    made = bench.json("deploy", "create", *asked)
    yield made
    bench.cli("deploy", "terminate", made["applicationId"])
    assert json.loads(openstack.cli("server", "list", "-f", "json")) == []
    assert not (openstack.state / "nova/instances" / made["cloudId"]).exists()
    bench.cli("image", "delete", "--publish-id", str(sent["dbId"]))
    assert openstack.images() == []


def test_the_account_may_provision_here(bench: Bench, sent: dict[str, Any]) -> None:
    said = bench.json("account", "check", "cloud", "--project", "demo")
    assert (said["abilities"]["publish"], said["abilities"]["provision"]) == (True, True), said
    assert said["facts"]["instances"].endswith(" of 10")


def test_nova_runs_our_image(bench: Bench, openstack: Compute, sent: dict[str, Any], deployment: dict[str, Any]) -> None:
    assert deployment["state"] == "running"
    [server] = json.loads(openstack.cli("server", "list", "--long", "-f", "json"))
    assert (server["ID"], server["Name"], server["Status"]) == (deployment["cloudId"], "copy-1", "ACTIVE")
    assert (server["Image Name"], server["Image ID"]) == ("to-nova", sent["cloudId"])
    assert json.loads(openstack.cli("keypair", "list", "-f", "json")) == [], "the pair was needed to make the server only"
    bench.service.until(lambda: "forgelet boot sector" in bench.cli("deploy", "console", deployment["applicationId"]), 120)


def test_its_config_drive_says_who_it_is(openstack: Compute, deployment: dict[str, Any], key: Path) -> None:
    """Nova's own drive, as the machine got it."""
    disc = pycdlib.PyCdlib()
    disc.open(str(openstack.state / "nova/instances" / deployment["cloudId"] / "disk.config"))

    def read(name: str) -> bytes:
        out = io.BytesIO()
        disc.get_file_from_iso_fp(out, rr_path=f"/openstack/latest/{name}")
        return out.getvalue()

    meta = json.loads(read("meta_data.json"))
    assert (meta["uuid"], meta["name"], meta["hostname"].partition(".")[0]) == (deployment["cloudId"], "copy-1", "copy-1")
    assert [one.strip() for one in meta["public_keys"].values()] == [key.read_text().strip()]
    assert WORD.encode() in read("user_data")
    disc.close()


def test_what_nova_does_not_give_is_said_and_leaves_nothing(bench: Bench, openstack: Compute, sent: dict[str, Any], deployment: dict[str, Any]) -> None:
    faults = []
    for flavor in ("vast", "tiny", "none"):
        bench.cli("deploy", "create", "--publish-id", str(sent["dbId"]), "--name", "too-much", "--flavor", flavor, code=1)
        [failed] = [one for one in bench.json("deploy", "list")["deployments"]["deployment"] if one["name"] == "too-much"]
        assert failed["state"] == "on-fire"
        faults.append(failed["fault"])
        bench.cli("deploy", "terminate", failed["applicationId"])
    assert all(faults) and len(set(faults)) == 3, faults
    assert [one["Name"] for one in json.loads(openstack.cli("server", "list", "-f", "json"))] == ["copy-1"]


def test_a_server_that_nobody_was_told_of_is_found_by_its_mark(openstack: Compute, sent: dict[str, Any], deployment: dict[str, Any], key: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cloud = OpenstackCloud(openstack.opened())
    began: list[str] = []
    real = cloud._nova._cloud.compute.create_server

    def unheard(**asked: Any) -> Any:
        real(**asked)
        raise ConnectFailure("the answer was lost")

    monkeypatch.setattr(cloud._nova._cloud.compute, "create_server", unheard)
    with pytest.raises(Unreachable):
        cloud.provision(sent["cloudId"], Request("unheard-of", "one", public_keys=(key.read_text(),)), Silent(), began.append)
    assert (began[0].startswith("forgelet-"), began[-1]) == (True, "")
    assert [one["Name"] for one in json.loads(openstack.cli("server", "list", "-f", "json"))] == ["copy-1"]
    assert json.loads(openstack.cli("keypair", "list", "-f", "json")) == []


def test_one_that_is_stopped_in_nova_is_shown_stopped(bench: Bench, openstack: Compute, deployment: dict[str, Any]) -> None:
    openstack.cli("server", "stop", deployment["cloudId"])
    bench.service.until(lambda: bench.json("deploy", "show", deployment["applicationId"])["state"] == "stopped", 120)
