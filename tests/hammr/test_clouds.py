"""Publishing and deploying by the real client, to the cloud of this machine (rows 34 to 38, 55 and 59 to 67 of the call table): images of
scans and of templates, and what Ctrl-C does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from support.hammr import Hammr, Polls
from support.planted import planted_image, planted_template, planted_template_image
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


@pytest.fixture(scope="module", params=["scan", "template"])
def image(request: pytest.FixtureRequest, service: Service, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A finished image, of a scan and of a template in turn."""
    if request.param == "scan":
        return planted_image(service, tmp_path_factory.mktemp("planted") / "tree", "qcow2", "OpenStack QCOW2")
    return planted_template_image(service, planted_template(service), profile={"swapSize": 512, "memorySize": 1024, "diskSize": 64})


@pytest.fixture(scope="module")
def publication(hammr: Hammr, service: Service, image: dict[str, Any]) -> int:
    """What the client published."""
    (hammr.home / "b.yml").write_text(BUILDER)
    said = hammr("image", "publish", "--id", str(image["dbId"]), "--file", str(hammr.home / "b.yml"))
    number = said.number("Publish ID")
    told = service.http.get(f"{BASE}/pimages/{number}").json()
    assert (told["status"]["complete"], told["name"], told["credAccount"]["name"]) == (True, "by-hammr", "local")
    assert (told["imageUri"], told["parentUri"]) == (image["uri"], image["parentUri"])
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
    kind = {"scan": "Scan", "template": "Template"}["scan" if "scannedinstances" in service.http.get(f"{BASE}/pimages/{publication}").json()["uri"] else "template"]
    [made] = service.http.get(f"{BASE}/deployments").json()["deployments"]["deployment"]
    assert (made["name"], made["state"]) == ("tiny-1", "running"), said.text
    folder: Path = service.data / "cloud/instances" / made["cloudId"]
    assert folder.exists()
    listed = hammr("deploy", "list").text
    assert made["applicationId"] in listed and kind in listed
    hammr("deploy", "terminate", "--id", made["applicationId"], "--force")
    assert service.http.get(f"{BASE}/deployments").json() == {"deployments": {"deployment": []}}
    assert not folder.exists()


def test_a_flavor_that_is_not_there_starts_nothing(hammr: Hammr, service: Service, publication: int) -> None:
    (hammr.home / "p.yml").write_text(PROVISIONER.replace("f1.tiny", "f1.none"))
    said = hammr("image", "deploy", "--publish-id", str(publication), "--file", str(hammr.home / "p.yml"), status=None)
    assert re.search(r"flavor", said.text, re.I), said.text
    assert service.http.get(f"{BASE}/deployments").json() == {"deployments": {"deployment": []}}


def published(service: Service) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = service.http.get(f"{BASE}/pimages").json()["publishImages"]["publishImage"]
    return found


@pytest.mark.parametrize(("answer", "state"), [("y", "cancelled"), ("n", "running")])
def test_ctrl_c_asks_whether_to_stop_the_sending(hammr: Hammr, service: Service, image: dict[str, Any], polls: Polls, answer: str, state: str) -> None:
    (hammr.home / "c.yml").write_text(BUILDER.replace("by-hammr", f"left-{answer}"))
    clouds = {path.name for path in (service.data / "cloud/images").iterdir()}
    service.fault("publish.check", "hang")
    words = ("image", "publish", "--id", str(image["dbId"]), "--file", str(hammr.home / "c.yml"))
    said = hammr.interrupted(words, polls(r".*/pimages/\d+/status", "publish.check"), typed=f"{answer}\n", status=2)
    assert "Do you want to cancel the job ?" in said.text
    left = published(service)[-1]
    assert left["name"] == f"left-{answer}"
    if state == "running":
        # Whoever leaves it running finds it again.
        assert service.job(left["jobId"])["state"] == "running"
        assert service.http.delete(f"/api/{left['uri']}/cancel").status_code == 204
    assert service.ended(left["jobId"])["state"] == "cancelled"
    assert {path.name for path in (service.data / "cloud/images").iterdir()} == clouds
    assert service.http.delete(f"/api/{left['uri']}").status_code == 204


def test_ctrl_c_leaves_the_making_of_an_instance_which_can_be_ended(hammr: Hammr, service: Service, publication: int, polls: Polls) -> None:
    (hammr.home / "p.yml").write_text(PROVISIONER)
    service.fault("provision.place", "hang")
    words = ("image", "deploy", "--publish-id", str(publication), "--file", str(hammr.home / "p.yml"))
    said = hammr.interrupted(words, polls(r"deployments/\w+/status", "provision.place"), status=None)
    assert "may still be in progress" in said.text
    [made] = service.http.get(f"{BASE}/deployments").json()["deployments"]["deployment"]
    assert (made["state"], service.job(made["jobId"])["state"]) == ("starting", "running")
    # Ctrl-C at the question ends nothing.
    words = ("deploy", "terminate", "--id", made["applicationId"])
    hammr.interrupted(words, polls(rf"deployments/{made['applicationId']}"))
    assert len(service.http.get(f"{BASE}/deployments").json()["deployments"]["deployment"]) == 1
    hammr("deploy", "terminate", "--id", made["applicationId"], typed="y\n")
    assert service.http.get(f"{BASE}/deployments").json() == {"deployments": {"deployment": []}}
    assert service.ended(made["jobId"])["state"] == "cancelled"


STACK = "stack: {name: planted, version: '1.0', os: {name: Debian, version: '12', arch: x86_64}}\n"


def test_without_an_id_the_template_and_its_builder_name_the_image(hammr: Hammr, service: Service) -> None:
    """The first one that is complete, of the builder's type, and was asked for with the same swap."""
    template = next(one for one in service.http.get(f"{BASE}/appliances").json()["appliances"]["appliance"] if one["name"] == "planted")
    other = planted_template_image(service, template, profile={"swapSize": 64, "diskSize": 64})
    (hammr.home / "s.yml").write_text(STACK + BUILDER.removeprefix("---\n").replace("by-hammr", "by-name") + "  installation: {swapSize: 64}\n")
    said = hammr("image", "publish", "--file", str(hammr.home / "s.yml"))
    sent = published(service)[-1]
    assert said.number("Publish ID") == sent["dbId"]
    assert (sent["name"], sent["imageUri"], sent["status"]["complete"]) == ("by-name", other["uri"], True)
    for wrong, words in (("swapSize: 64", "swapSize: 65"), ("name: planted", "name: nothing"), ("QCOW2", "VMDK")):
        (hammr.home / "w.yml").write_text((hammr.home / "s.yml").read_text().replace(wrong, words))
        assert "found" in hammr("image", "publish", "--file", str(hammr.home / "w.yml"), status=2).text
    assert published(service)[-1] == sent


def test_an_account_that_is_not_there_and_a_wrong_file_publish_nothing(hammr: Hammr, service: Service, image: dict[str, Any]) -> None:
    before = published(service)
    for text, said in (
        (BUILDER.replace("local", "nobody's"), "No accounts available with name nobody's"),
        (BUILDER.replace("QCOW2", "VMDK"), "No builder part found"),
        (BUILDER.replace("  displayName: by-hammr\n", ""), "displayName"),
    ):
        (hammr.home / "w.yml").write_text(text)
        assert said in hammr("image", "publish", "--id", str(image["dbId"]), "--file", str(hammr.home / "w.yml"), status=None).text
    (hammr.home / "b.yml").write_text(BUILDER)
    assert "Image not found" in hammr("image", "publish", "--id", "999", "--file", str(hammr.home / "b.yml"), status=2).text
    assert published(service) == before


def test_image_info_tells_source_and_publications(hammr: Hammr, service: Service, publication: int, image: dict[str, Any]) -> None:
    told = service.http.get(f"{BASE}/pimages/{publication}").json()
    said = hammr("image", "info", "--id", str(image["dbId"])).text
    assert "Debian 12" in said
    assert image["uri"] in said
    assert told["cloudId"] in said


def test_delete_takes_the_image_and_leaves_what_is_in_the_cloud(hammr: Hammr, service: Service, publication: int, image: dict[str, Any]) -> None:
    number = str(image["dbId"])
    assert "impossible to cancel" in hammr("image", "cancel", "--id", number, status=2).text
    hammr("image", "delete", "--id", number, typed="n\n", status=None)
    assert (service.data / "images" / number).exists()
    assert "Image deleted" in hammr("image", "delete", "--id", number, typed="y\n").text
    assert service.http.get(f"{BASE}/images/{number}").status_code == 404
    assert not (service.data / "images" / number).exists()
    told = service.http.get(f"{BASE}/pimages/{publication}").json()
    assert (service.data / "cloud/images" / told["cloudId"] / "disk").exists()
