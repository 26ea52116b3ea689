"""Deployments as clients see them, on a cloud in memory."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from lxml import etree
from support.service import until

from builders.clouds.base import InstanceState
from scanner.errors import Unreachable

from .clouding import BASE, XML, deployed, published


def test_the_resources_are_told_as_the_client_looks_for_them(drive: Any, image: Any) -> None:
    sent = published(drive, image)
    account = sent["credAccount"]["dbId"]
    told = etree.fromstring(drive.http.get(f"/api/{sent['uri']}/accounts/{account}/resources", headers=XML).content)
    tenant = told.find("cloudResources/tenants/tenant")
    assert tenant.findtext("name") == sent["tenantName"]
    region = tenant.find("regionsEntities/regionEntities")
    assert region.findtext("regionName") == "RegionOne"
    assert [(one.findtext("id"), one.findtext("name")) for one in region.iterfind("flavors/flavor")] == [("1", "small"), ("2", "large")]
    assert region.findtext("networks/network/name") == "private"
    drive.error(drive.http.get(f"/api/{sent['uri']}/accounts/99/resources"), 404)


def test_an_instance_is_made_and_ended_as_the_client_does_it(drive: Any, cloud: Any, image: Any) -> None:
    sent = published(drive, image)
    body = (
        '<ns1:deployment xmlns:ns1="http://www.usharesoft.com/uforge" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><name>web-1</name>'
        '<instances><instance xsi:type="ns1:InstanceOpenStack"><flavorId>1</flavorId><networkId>net-1</networkId><region>RegionOne</region></instance></instances></ns1:deployment>'
    )
    answer = drive.http.post(f"/api/{sent['uri']}/deploys", content=body, headers=XML)
    assert answer.status_code == 201, answer.text
    number = etree.fromstring(answer.content).findtext("applicationId")
    until(lambda: etree.fromstring(drive.http.get(f"{BASE}/deployments/{number}/status", headers=XML).content).findtext("message") == "running")
    told = etree.fromstring(drive.http.get(f"{BASE}/deployments/{number}", headers=XML).content)
    instance = told.find("instances/instance")
    assert (told.findtext("state"), instance.findtext("location/provider"), instance.findtext("cloudProvider")) == ("running", "local", "openstack")
    assert instance.findtext("sourceSummary/uri") == sent["parentUri"]
    [request] = cloud.requests.values()
    assert (request.flavor, request.networks) == ("1", ["net-1"])
    assert drive.http.delete(f"{BASE}/deployments/{number}").status_code == 204
    assert cloud.instances == {}
    assert drive.http.get(f"{BASE}/deployments").json() == {"deployments": {"deployment": []}}


def test_the_state_is_what_the_cloud_says(drive: Any, cloud: Any, image: Any) -> None:
    made = deployed(drive, published(drive, image), publicKeys=["ssh-ed25519 AAAAC3Nza someone@somewhere"])
    place = f"{BASE}/deployments/{made['applicationId']}"
    assert (made["state"], made["instances"]["instance"][0]["hostname"]) == ("running", "192.0.2.7")
    assert "web-1 login:" in drive.http.get(f"{place}/console").text
    cloud.set_state(made["cloudId"], InstanceState.SHUTOFF)
    assert drive.http.get(place).json()["state"] == "stopped"
    cloud.set_state(made["cloudId"], InstanceState.ERROR, "it burnt")
    assert drive.http.get(f"{place}/status").json()["detailedErrorMsg"] == "it burnt"
    cloud.refuse = Unreachable("nobody there", hint="look at the cable")
    listed = drive.http.get(f"{BASE}/deployments").json()["deployments"]["deployment"][0]
    assert listed["state"] == "unknown"
    assert listed["fault"].startswith("nobody there (seen last at ") and listed["fault"].endswith(": on-fire)")
    assert listed["instances"]["instance"][0]["hostname"] == "192.0.2.7"
    cloud.refuse = None
    cloud.terminate(made["cloudId"])
    assert drive.http.get(place).json()["state"] == "on-fire"
    assert drive.http.delete(place).status_code == 204


@pytest.mark.parametrize(
    ("given", "said"),
    [({"name": "no spaces"}, "name:"), ({"flavor": ""}, "flavor: is missing"), ({"publicKeys": ["-----BEGIN OPENSSH PRIVATE KEY-----"]}, "is no OpenSSH public key")],
)
def test_a_wrong_instance_is_refused(drive: Any, image: Any, given: Any, said: str) -> None:
    sent = published(drive, image)
    told = drive.error(drive.http.post(f"{BASE}/pimages/{sent['dbId']}/deployments", json={"name": "web", "flavor": "small", **given}), 400)
    assert any(one.startswith(said) or said in one for one in told["problems"])
    assert drive.http.get(f"{BASE}/deployments").json() == {"deployments": {"deployment": []}}


def test_a_flavor_that_the_cloud_has_not_is_the_jobs_failure(drive: Any, cloud: Any, image: Any) -> None:
    made = deployed(drive, published(drive, image), flavor="giant")
    assert (made["state"], cloud.instances) == ("on-fire", {})
    assert "no flavor 'giant'" in made["fault"]


def test_a_list_logs_in_to_each_account_once_and_to_all_at_the_same_time(drive: Any, cloud: Any, image: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fields = {"glanceUrl": "http://g", "keystoneUrl": "http://k", "keystoneVersion": "v3", "login": "me", "password": "open-sesame"}
    drive.http.post(f"{BASE}/accounts", json={"name": "mine", "targetPlatform": {"name": "OpenStack"}, **fields})
    own, other = published(drive, image), published(drive, image, credAccount={"name": "mine"})
    names = [deployed(drive, sent, name=f"web-{number}")["name"] for number, sent in enumerate((own, other, own, other))]
    opened: list[Any] = []
    together = threading.Barrier(2)
    real = type(cloud).instance

    def seen(self: Any, instance_id: str) -> Any:
        if self.requests[instance_id].name in ("web-0", "web-1"):
            together.wait(5)
        return real(self, instance_id)

    def open_(account: Any, home: Any) -> Any:
        opened.append(account)
        return cloud

    monkeypatch.setattr(type(cloud), "instance", seen)
    monkeypatch.setattr(drive.service.rooms, "cloud", open_)
    listed = drive.http.get(f"{BASE}/deployments").json()["deployments"]["deployment"]
    assert ([one["name"] for one in listed], {one["state"] for one in listed}) == (names, {"running"})
    assert sorted(account.name for account in opened) == ["local", "mine"]
    assert all(account.patience <= 10 for account in opened)


def test_what_cloud_init_is_told_is_sealed_and_reaches_the_instance(drive: Any, cloud: Any, image: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a key that was changed in between, too."""
    told, real, secret = [], type(cloud).provision, "#cloud-config\npassword: user-data-secret\n"

    def provision(self: Any, cloud_id: str, request: Any, *rest: Any) -> Any:
        assert drive.service.ledger.jobs()[-1].state == "running"
        told.append(request.user_data)
        return real(self, cloud_id, request, *rest)

    monkeypatch.setattr(type(cloud), "provision", provision)
    sent = published(drive, image)
    begin = drive.service.queue.submit
    monkeypatch.setattr(drive.service.queue, "submit", lambda: None)
    made = drive.http.post(f"/api/users/root/pimages/{sent['dbId']}/deployments", json={"name": "x", "flavor": "small", "userData": secret}).json()
    assert drive.http.post("/_forgelet/secrets/rotation").json() == {"resealed": 1}
    begin()
    assert drive.service.queue.wait(made["jobId"], 10)
    assert told == [secret]
    drive.service.journal.book.close()
    assert [one.name for one in drive.service.folders.data.rglob("*") if one.is_file() and b"user-data-secret" in one.read_bytes()] == []
