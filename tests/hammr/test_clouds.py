"""Publishing and deploying by the real client, to the cloud of this machine (rows 34 to 38 and 59 to 67 of the call table)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.hammr import Hammr
from support.planted import planted_image
from support.service import Service

BASE = "/api/users/root"
BUILDER = """---
builders:
- type: OpenStack QCOW2
  account: {name: local}
  displayName: by-hammr
  keystoneDomain: default
  keystoneProject: anything
"""
PROVISIONER = "---\nprovisioner: {name: tiny-1, region: RegionOne, network: isolated, flavor: f1.tiny}\n"


@pytest.fixture(scope="module")
def image(service: Service, tmp_path_factory: pytest.TempPathFactory) -> int:
    return int(planted_image(service, tmp_path_factory.mktemp("planted") / "tree", "qcow2", "OpenStack QCOW2")["dbId"])


@pytest.fixture
def publication(hammr: Hammr, service: Service, image: int) -> int:
    """What the client published."""
    (hammr.home / "b.yml").write_text(BUILDER)
    said = hammr("image", "publish", "--id", str(image), "--file", str(hammr.home / "b.yml"))
    number = said.number("Publish ID")
    told = service.http.get(f"{BASE}/pimages/{number}").json()
    assert (told["status"]["complete"], told["name"], told["credAccount"]["name"]) == (True, "by-hammr", "local")
    assert told["cloudId"] in said.text
    assert (service.data / "cloud/images" / told["cloudId"] / "disk").exists()
    return number


def test_the_client_lists_what_it_published(hammr: Hammr, service: Service, publication: int) -> None:
    assert any(str(publication) in row for row in hammr("image", "list").rows())
    assert service.http.get(f"{BASE}/pimages/{publication}").json()["tenantName"] == "root"


@pytest.mark.libvirt
def test_the_client_deploys_lists_and_terminates(hammr: Hammr, service: Service, publication: int) -> None:
    (hammr.home / "p.yml").write_text(PROVISIONER)
    said = hammr("image", "deploy", "--publish-id", str(publication), "--file", str(hammr.home / "p.yml"))
    [made] = service.http.get(f"{BASE}/deployments").json()["deployments"]["deployment"]
    assert (made["name"], made["state"]) == ("tiny-1", "running"), said.text
    folder: Path = service.data / "cloud/instances" / made["cloudId"]
    assert folder.exists()
    assert made["applicationId"] in hammr("deploy", "list").text
    hammr("deploy", "terminate", "--id", made["applicationId"], "--force")
    assert service.http.get(f"{BASE}/deployments").json() == {"deployments": {"deployment": []}}
    assert not folder.exists()


def test_a_flavor_that_is_not_there_starts_nothing(hammr: Hammr, service: Service, publication: int) -> None:
    (hammr.home / "p.yml").write_text(PROVISIONER.replace("f1.tiny", "f1.none"))
    said = hammr("image", "deploy", "--publish-id", str(publication), "--file", str(hammr.home / "p.yml"), status=None)
    assert re.search(r"flavor", said.text, re.I), said.text
    assert service.http.get(f"{BASE}/deployments").json() == {"deployments": {"deployment": []}}
