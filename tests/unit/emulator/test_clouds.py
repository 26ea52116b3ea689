"""Publications and deployments as clients see them, on a cloud in memory."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import threading
import time
from typing import Any

import pytest
from lxml import etree

from builders.clouds.base import InstanceState
from builders.errors import CloudRefused
from emulator.jobs import clouds
from emulator.resources.jobs.tables import Job
from emulator.resources.publications import fetched
from emulator.resources.publications.tables import Publication
from scanner.errors import Unreachable

BASE = "/api/users/root"
XML = {"Accept": "application/xml", "Content-Type": "application/xml"}


@pytest.fixture
def cloud(drive: Any) -> Any:
    return drive.service.rooms.fake_cloud


@pytest.fixture
def image(drive: Any) -> Any:
    return drive.image()


def published(drive: Any, image: Any, **given: Any) -> Any:
    """Sent to its end."""
    body = {"xsiType": "PublishImageOpenStack", "credAccount": {"name": "local"}, "displayName": "web", **given}
    answer = drive.http.post(f"/api/{image['uri']}/pimages", json=body)
    assert answer.status_code == 201, answer.text
    assert drive.service.queue.wait(answer.json()["jobId"], 10)
    return drive.http.get(f"{BASE}/pimages/{answer.json()['dbId']}").json()


def deployed(drive: Any, sent: Any, **given: Any) -> Any:
    answer = drive.http.post(f"{BASE}/pimages/{sent['dbId']}/deployments", json={"name": "web-1", "flavor": "small", **given})
    assert answer.status_code == 201, answer.text
    assert drive.service.queue.wait(answer.json()["jobId"], 10)
    return drive.http.get(f"{BASE}/deployments/{answer.json()['applicationId']}").json()


@pytest.mark.parametrize(("name", "item"), [("pimages", "publishImages"), ("deployments", "deployments"), ("migrations", "migrations")])
def test_lists_are_there_and_empty_in_both_representations(drive: Any, name: str, item: str) -> None:
    assert list(drive.http.get(f"{BASE}/{name}").json()[item].values()) == [[]]
    told = drive.http.get(f"{BASE}/{name}", headers={"Accept": "application/xml"})
    assert f"<{item}></{item}>" in told.text or f"<{item}/>" in told.text


def test_an_image_is_published(drive: Any, cloud: Any, image: Any) -> None:
    sent = published(drive, image, keystoneProject="demo", publicImage=False)
    assert sent["status"]["complete"], sent
    assert sent["cloudId"] in cloud.images
    offer, content = cloud.images[sent["cloudId"]]
    assert (offer.name, offer.public, offer.min_disk, offer.min_ram, offer.format) == ("web", False, 1, 1024, "raw")
    assert (offer.properties["os_distro"], offer.properties["os_version"], offer.properties["architecture"]) == ("debian", "12", "x86_64")
    assert offer.properties["forgelet_sha256"] == image_file(drive, image)["sha256"]
    assert sent["size"] == len(content)
    # hammr's deploy looks for the tenant by this name, for Keystone v3 too.
    assert sent["tenantName"] == "demo"
    assert sent["imageUri"] == image["uri"]
    assert "password" not in str(sent)


def image_file(drive: Any, image: Any) -> Any:
    return drive.http.get(f"{BASE}/images/{image['dbId']}").json()["files"][0]


def test_it_is_told_in_xml_as_the_client_needs_it(drive: Any, image: Any) -> None:
    sent = published(drive, image)
    told = etree.fromstring(drive.http.get(f"{BASE}/pimages", headers=XML).content).find("publishImages/publishImage")
    assert told.get("{http://www.w3.org/2001/XMLSchema-instance}type") == "ns1:PublishImageOpenStack"
    for path in ("dbId", "name", "uri", "imageUri", "parentUri", "tenantName", "cloudId", "status/message", "targetFormat/name", "credAccount/targetPlatform/name", "credAccount/dbId"):
        assert told.findtext(path), path
    status = etree.fromstring(drive.http.get(f"/api/{sent['uri']}/status", headers=XML).content)
    assert status.findtext("complete") == "true"


def test_by_the_builder_file_with_the_seeds_keys(drive: Any, cloud: Any, image: Any) -> None:
    text = """---
builders:
- type: openstack
  hardwareSettings: {memory: 1024}
  installation: {diskSize: 2000}
  account: local
  tenant: opencloudware
  imageName: scan-test
  publicImage: 'no'
"""
    answer = drive.http.post(f"{BASE}/images/{image['dbId']}/publications", json={"fileName": "b.yml", "text": text})
    assert answer.status_code == 201, answer.text
    assert (answer.json()["name"], answer.json()["keystoneProject"], answer.json()["publicImage"]) == ("scan-test", "opencloudware", False)
    other = {"fileName": "b.yml", "text": text.replace("type: openstack", "type: OpenStack VMDK")}
    assert "no builder of b.yml" in drive.error(drive.http.post(f"{BASE}/images/{image['dbId']}/publications", json=other), 400)["localizedErrorMsg"]["message"]


@pytest.mark.parametrize(
    ("given", "status", "said"),
    [
        ({"credAccount": {"name": "nobody"}}, 404, "no cloud account 'nobody'"),
        ({"credAccount": {}}, 400, "which account?"),
        ({"publicImage": "perhaps"}, 400, "publicImage: 'perhaps' is neither true nor false"),
        ({"tenantName": "a", "keystoneProject": "b"}, 400, "keystoneProject, tenantName: say different things"),
        ({"credAccount": {"name": "shop"}}, 501, "Forgelet keeps but does not speak to"),
    ],
)
def test_what_cannot_be_published_is_refused_with_the_reason(drive: Any, cloud: Any, image: Any, given: Any, status: int, said: str) -> None:
    drive.http.post(f"{BASE}/accounts", json={"name": "shop", "targetPlatform": {"name": "Outscale"}})
    body = {"credAccount": {"name": "local"}, "displayName": "web", **given}
    told = drive.error(drive.http.post(f"/api/{image['uri']}/pimages", json=body), status)
    assert said in "\n".join([told["localizedErrorMsg"]["message"], *told["problems"]])
    assert drive.http.get(f"{BASE}/pimages").json() == {"publishImages": {"publishImage": []}}
    assert cloud.images == {}


@pytest.mark.parametrize("refusal", [CloudRefused("no room", hint="delete something"), Unreachable("nobody there", hint="look at the cable")])
def test_what_the_cloud_refuses_is_the_jobs_failure(drive: Any, cloud: Any, image: Any, refusal: Any) -> None:
    cloud.refuse = refusal
    sent = published(drive, image)
    assert sent["status"]["error"] and refusal.message in sent["status"]["errorMessage"]
    assert drive.service.ledger.get(sent["jobId"]).hint == refusal.hint
    assert sent["cloudId"] == ""


def test_a_job_that_dies_half_way_is_undone_in_the_cloud(drive: Any, cloud: Any, image: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cloud has something, the job's process was killed: nobody but the service is left to take it away."""
    real = type(cloud).publish

    def dies(self: Any, offer: Any, progress: Any, began: Any) -> Any:
        real(self, offer, progress, began)
        raise RuntimeError("killed")

    monkeypatch.setattr(type(cloud), "publish", dies)
    sent = published(drive, image)
    assert sent["status"]["error"]
    until(lambda: cloud.images == {})


def test_what_a_cloud_that_went_away_kept_is_taken_away_when_it_is_back(drive: Any, cloud: Any, image: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    real, tried = type(cloud).publish, []
    monkeypatch.setattr(clouds, "PAUSES", (0.0, 0.01, 0.01))

    def goes(self: Any, offer: Any, progress: Any, began: Any) -> Any:
        real(self, offer, progress, began)
        raise Unreachable("gone in the middle")

    def away(self: Any, cloud_id: str) -> None:
        tried.append(cloud_id)
        raise Unreachable("still gone")

    monkeypatch.setattr(type(cloud), "publish", goes)
    with monkeypatch.context() as patch:
        patch.setattr(type(cloud), "withdraw", away)
        sent = published(drive, image)
        assert (sent["status"]["error"], sent["cloudId"]) == (True, "")
        until(lambda: len(tried) == 3)
    assert len(cloud.images) == 1
    # The next service tries again.
    clouds.begin(drive.service.database, drive.service.folders)
    until(lambda: cloud.images == {})


def test_what_another_publication_has_is_not_taken_away(drive: Any, cloud: Any, image: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that dies after it found the image there takes nothing away; nor does one whose image another found since."""
    first = published(drive, image)
    real = type(cloud).publish

    def dies(self: Any, offer: Any, progress: Any, began: Any) -> Any:
        real(self, offer, progress, began)
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(type(cloud), "publish", dies)
        assert published(drive, image)["status"]["error"]
        left = drive.http.delete(f"{BASE}/pimages/2")
    assert left.status_code == 204
    assert list(cloud.images) == [first["cloudId"]]


def test_what_is_about_to_be_taken_away_is_sent_anew(drive: Any, cloud: Any, image: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    real, tried = type(cloud).publish, []
    monkeypatch.setattr(clouds, "PAUSES", (0.0,))

    def goes(self: Any, offer: Any, progress: Any, began: Any) -> Any:
        real(self, offer, progress, began)
        raise Unreachable("gone after it was active")

    def away(self: Any, cloud_id: str) -> None:
        tried.append(cloud_id)
        raise Unreachable("still gone")

    with monkeypatch.context() as patch:
        patch.setattr(type(cloud), "publish", goes)
        patch.setattr(type(cloud), "withdraw", away)
        published(drive, image)
        until(lambda: tried)
    second = published(drive, image)
    assert (second["already"], len(cloud.images)) == (False, 2)
    clouds.begin(drive.service.database, drive.service.folders)
    until(lambda: list(cloud.images) == [second["cloudId"]])


def test_an_image_that_another_has_since_stays_when_the_first_is_taken_back(drive: Any, cloud: Any, image: Any) -> None:
    first, second = published(drive, image), published(drive, image)
    with drive.service.database.write() as session:
        session.get_one(Job, first["jobId"]).state = "failed"
    clouds.begin(drive.service.database, drive.service.folders)

    def noted() -> str:
        with drive.service.database.read() as session:
            return str(session.get_one(Publication, first["dbId"]).cloud_id)

    until(lambda: noted() == "")
    assert list(cloud.images) == [second["cloudId"]]


@pytest.mark.parametrize("way", ["reset", "reset?user=root", "snapshots/before/load"])
def test_a_job_that_is_ended_half_way_by_a_reset_or_a_snapshot_is_undone_in_the_cloud(drive: Any, cloud: Any, image: Any, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    """Its rows and its account are gone by then."""
    account = {"targetPlatform": {"name": "openstack"}, "keystoneUrl": "http://127.0.0.1:1", "keystoneVersion": "v3", "glanceUrl": "http://127.0.0.1:1", "login": "x", "password": "y"}
    drive.http.post(f"{BASE}/accounts", json={**account, "name": "there"})
    drive.http.post("/_forgelet/snapshots/before")
    real, sent = type(cloud).publish, threading.Event()

    def goes_on(self: Any, offer: Any, progress: Any, began: Any) -> Any:
        made = real(self, offer, progress, began)
        sent.set()
        while True:
            progress.moved(1)
            time.sleep(0.01)
        return made

    monkeypatch.setattr(type(cloud), "publish", goes_on)
    asked = {"xsiType": "PublishImageOpenStack", "credAccount": {"name": "there"}, "displayName": "x"}
    assert drive.http.post(f"/api/{image['uri']}/pimages", json=asked).status_code == 201
    assert sent.wait(10)
    assert len(cloud.images) == 1
    told = drive.http.post(f"/_forgelet/{way}")
    assert told.status_code == 200, told.text
    assert "reset" not in way or told.json()["givenBack"]["clouds"] == 1
    until(lambda: cloud.images == {})


def until(condition: Any) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_it_is_taken_out_of_the_cloud_once_nothing_else_is_the_same(drive: Any, cloud: Any, image: Any) -> None:
    first, second = published(drive, image), published(drive, image)
    assert (second["already"], second["cloudId"]) == (True, first["cloudId"])
    assert drive.http.delete(f"/api/{first['uri']}").status_code == 204
    assert len(cloud.images) == 1
    assert drive.http.delete(f"{BASE}/pimages/{second['dbId']}").status_code == 204
    assert cloud.images == {}


def test_it_outlives_the_image_it_was_made_from(drive: Any, cloud: Any, image: Any) -> None:
    sent = published(drive, image)
    assert drive.http.delete(f"{BASE}/images/{image['dbId']}").status_code == 204
    kept = drive.http.get(f"{BASE}/pimages").json()["publishImages"]["publishImage"][0]
    assert (kept["cloudId"], kept["imageUri"]) == (sent["cloudId"], image["uri"])
    assert drive.http.get(f"{BASE}/pimages/{sent['dbId']}/download").content == cloud.images[sent["cloudId"]][1]


def test_half_a_download_is_of_its_image_only_and_goes_with_it(drive: Any, cloud: Any, image: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks_off(self: Any, cloud_id: str, into: Any, progress: Any) -> None:
        into.parent.mkdir(exist_ok=True)
        into.with_name(f"{into.name}.partial").write_bytes(b"half of it")
        raise Unreachable("it broke off", hint="the same again")

    monkeypatch.setattr(type(cloud), "fetch", breaks_off)
    returns = drive.service.folders.returns
    names = []
    for _ in range(2):
        sent = published(drive, image)
        drive.error(drive.http.get(f"{BASE}/pimages/{sent['dbId']}/download"), 503)
        names += [file.name for file in returns.iterdir()]
        assert drive.http.delete(f"{BASE}/pimages/{sent['dbId']}").status_code == 204
        assert list(returns.iterdir()) == []
    assert len(set(names)) == 2, "another image under the same number of ours"


def test_what_a_killed_service_was_about_to_hand_out_goes_at_the_next_start(drive: Any) -> None:
    returns = drive.service.folders.returns
    returns.mkdir(exist_ok=True)
    for name in ("1-abc", "1-abc-0123", "2-def.partial"):
        (returns / name).touch()
    clouds.begin(drive.service.database, drive.service.folders)
    assert [file.name for file in returns.iterdir()] == ["2-def.partial"]


def test_nobody_sees_what_is_anothers(drive: Any, image: Any) -> None:
    sent = published(drive, image)
    made = deployed(drive, sent)
    drive.http.post("/_forgelet/users", json={"login": "alice", "password": "secret"})
    auth = ("alice", "secret")
    for path in (f"pimages/{sent['dbId']}", f"pimages/{sent['dbId']}/download", f"deployments/{made['applicationId']}", f"deployments/{made['applicationId']}/console", "accounts/1/standing"):
        drive.error(drive.http.get(f"/api/users/alice/{path}", auth=auth), 404)
    for path in (f"pimages/{sent['dbId']}", f"deployments/{made['applicationId']}"):
        drive.error(drive.http.delete(f"/api/users/alice/{path}", auth=auth), 404)
    assert drive.http.get("/api/users/alice/deployments", auth=auth).json() == {"deployments": {"deployment": []}}
    assert deployed(drive, sent, name="still-mine")["state"] == "running"


def test_nobody_uses_what_is_anothers(drive: Any, cloud: Any, image: Any) -> None:
    """Neither an account, by whatever it is named, nor an image."""
    fields = {"glanceUrl": "http://g", "keystoneUrl": "http://k", "keystoneVersion": "v3", "login": "me", "password": "open-sesame"}
    kept = drive.http.post(f"{BASE}/accounts", json={"name": "mine", "targetPlatform": {"name": "OpenStack"}, **fields}).json()
    drive.http.post("/_forgelet/users", json={"login": "alice", "password": "secret"})
    auth, hers = ("alice", "secret"), "/api/users/alice"
    scan = drive.http.post(f"{hers}/scannedinstances", json={"name": "web", "target": "docker:web", "overlay": True}, auth=auth).json()
    assert drive.service.queue.wait(scan["jobId"], 10)
    builder = {"type": "openstack", "installation": {"diskSize": 2000}, "hardwareSettings": {"memory": 1024}}
    built = drive.http.post(f"/api/{scan['uri']}/builds", json={"fileName": "b.json", "text": json.dumps({"builders": [builder]})}, auth=auth).json()["images"]["image"][0]
    assert drive.service.queue.wait(built["jobId"], 10)
    for named in ({"name": "mine"}, {"dbId": kept["dbId"]}, {"uri": kept["uri"]}):
        drive.error(drive.http.post(f"/api/{built['uri']}/pimages", json={"credAccount": named, "displayName": "web"}, auth=auth), 404)
        drive.error(drive.http.post(f"{hers}/migrations/launches", json={"name": "web", "target": "docker:web", "builder": {**builder, "account": named}}, auth=auth), 404)
    own = {"credAccount": {"name": "local"}, "displayName": "web"}
    drive.error(drive.http.post(f"/api/{image['uri']}/pimages", json=own, auth=auth), 403)
    drive.error(drive.http.post(f"/api/{image['uri'].replace('users/root', 'users/alice')}/pimages", json=own, auth=auth), 404)
    drive.error(drive.http.post(f"{hers}/pimages/{published(drive, image)['dbId']}/deployments", json={"name": "x", "flavor": "small"}, auth=auth), 404)
    assert drive.http.get(f"{hers}/pimages", auth=auth).json() == {"publishImages": {"publishImage": []}}
    assert cloud.instances == {}
    assert drive.http.post(f"/api/{built['uri']}/pimages", json=own, auth=auth).status_code == 201


def test_the_account_is_asked_what_it_may_do(drive: Any, cloud: Any) -> None:
    number = drive.http.get(f"{BASE}/accounts").json()["credAccounts"]["credAccount"][0]["dbId"]
    assert drive.http.get(f"{BASE}/accounts/{number}/standing").json()["abilities"] == {"publish": True, "provision": True}
    cloud.refuse = Unreachable("nobody there", hint="look at the cable")
    drive.error(drive.http.get(f"{BASE}/accounts/{number}/standing"), 503)


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


def test_what_is_in_use_stays(drive: Any, image: Any) -> None:
    sent = published(drive, image)
    deployed(drive, sent)
    assert "is in use by web-1" in drive.error(drive.http.delete(f"{BASE}/pimages/{sent['dbId']}"), 409)["localizedErrorMsg"]["message"]


def test_what_is_about_no_publication_deployment_or_migration_is_not_found(drive: Any) -> None:
    image = drive.image()
    of_image = f"{image['uri']}/pimages/1".removeprefix("users/root")
    for method, path in (
        ("GET", f"{of_image}/status"),
        ("DELETE", f"{of_image}/cancel"),
        ("GET", f"{of_image}/accounts/1/resources"),
        ("POST", f"{of_image}/deploys"),
        ("POST", "/scannedinstances/1/scans/1/images/9/pimages"),
        ("GET", "/deployments/abc"),
        ("GET", "/deployments/abc/status"),
        ("DELETE", "/deployments/abc"),
        ("GET", "/migrations/1"),
        ("DELETE", "/migrations/1"),
    ):
        drive.error(drive.http.request(method, f"{BASE}{path}", json={} if method == "POST" else None), 404)


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


@pytest.fixture
def fetches(cloud: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which images were fetched out of the cloud."""
    found, real = [], type(cloud).fetch

    def fetch(self: Any, cloud_id: str, into: Any, progress: Any) -> None:
        found.append(cloud_id)
        real(self, cloud_id, into, progress)

    monkeypatch.setattr(type(cloud), "fetch", fetch)
    return found


def test_a_download_goes_on_without_another_fetch_out_of_the_cloud(drive: Any, cloud: Any, image: Any, fetches: list[str]) -> None:
    sent = published(drive, image)
    place, content = f"{BASE}/pimages/{sent['dbId']}/download", cloud.images[sent["cloudId"]][1]
    whole = drive.http.get(place)
    digest = hashlib.sha512(content)
    assert (whole.content, whole.headers["ETag"]) == (content, f'"{digest.hexdigest()}"')
    assert whole.headers["Repr-Digest"] == f"sha-512=:{base64.b64encode(digest.digest()).decode()}:"
    rest = drive.http.get(place, headers={"Range": "bytes=1000-", "If-Range": whole.headers["ETag"]})
    assert (rest.status_code, rest.content, rest.headers["Repr-Digest"]) == (206, content[1000:], whole.headers["Repr-Digest"])
    other = drive.http.get(place, headers={"Range": "bytes=1000-", "If-Range": '"other"'})
    assert (other.status_code, other.content) == (200, content)
    assert fetches == [sent["cloudId"]]
    folder = drive.service.folders.data / "fetched"
    assert len(list(folder.iterdir())) == 1
    assert drive.http.delete(f"{BASE}/pimages/{sent['dbId']}").status_code == 204
    assert list(folder.iterdir()) == []


def test_what_came_back_is_kept_for_a_while_and_not_more_than_some(drive: Any, cloud: Any, image: Any, fetches: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = drive.service.folders.data / "fetched"
    monkeypatch.setattr(fetched, "KEPT", 2)
    places = [f"{BASE}/pimages/{published(drive, image, displayName=name)['dbId']}/download" for name in ("one", "two", "three")]
    for place in places:
        assert drive.http.get(place).status_code == 200
    assert len(list(folder.iterdir())) == 2
    (folder / "9-left.coming.partial").write_bytes(b"x")
    (folder / "9-left-link-1").write_bytes(b"x")
    for one in folder.iterdir():
        os.utime(one, (1, 1))
    fetched.sweep(folder)
    assert list(folder.iterdir()) == []
    assert drive.http.get(places[0]).status_code == 200


def test_what_broke_off_on_its_way_back_is_not_handed_out(drive: Any, cloud: Any, image: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = published(drive, image)

    def breaks(self: Any, cloud_id: str, into: Any, progress: Any) -> None:
        into.write_bytes(b"half")
        raise Unreachable("gone", hint="x")

    with monkeypatch.context() as broken:
        broken.setattr(type(cloud), "fetch", breaks)
        drive.error(drive.http.get(f"{BASE}/pimages/{sent['dbId']}/download"), 503)
    assert drive.http.get(f"{BASE}/pimages/{sent['dbId']}/download").content == cloud.images[sent["cloudId"]][1]
