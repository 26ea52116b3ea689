"""Publications as clients see them, on a cloud in memory."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import pytest
from lxml import etree
from support.service import until

from builders.errors import CloudRefused
from emulator.jobs import clouds
from emulator.resources.jobs.tables import Job
from emulator.resources.publications.tables import Publication
from scanner.errors import Unreachable

from .clouding import BASE, XML, deployed, published


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
