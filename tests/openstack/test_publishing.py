"""Publishing through the service: an image as built is in the cloud, whole, or nothing of it is, whatever happens on the way."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.cutproxy import CutProxy
from support.openstack import PASSWORD, Openstack
from support.planted import planted_image
from support.publishing import BASE, account, begin, shown
from support.service import FORGELET, Service


def test_the_whole_way_by_the_command_line(service: Service, openstack: Openstack, tmp_path: Path) -> None:
    image = planted_image(service, tmp_path / "tree", "qcow2")
    (tmp_path / "account.yml").write_text(
        f"accounts:\n- {{type: OpenStack, name: Openstack OW2, glanceUrl: '{openstack.glance}', keystoneUrl: '{openstack.keystone}', keystoneVersion: v3, login: demo, password: {PASSWORD}}}\n"
    )
    (tmp_path / "b.yml").write_text(
        """---
builders:
- type: openstack
  hardwareSettings: {memory: 64}
  installation: {diskSize: 64}
  account: {name: Openstack OW2, file: account.yml}
  tenant: demo
  imageName: scan-test
  publicImage: 'no'
"""
    )

    def forgelet(*words: str) -> str:
        done = subprocess.run([*FORGELET, "--url", f"{service.origin}/api", *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert PASSWORD not in done.stdout + done.stderr
        return done.stdout

    said = forgelet("image", "publish", "--id", str(image["dbId"]), "--file", str(tmp_path / "b.yml"))
    [there] = openstack.images()
    assert f"Cloud ID: {there['id']}" in said
    assert (there["name"], there["status"], there["visibility"]) == ("scan-test", "active", "private")
    disk = Path(image["folder"]) / image["files"][0]["name"]
    assert there["os_hash_value"] == hashlib.sha512(disk.read_bytes()).hexdigest()
    openstack_says_the_same(openstack, there["id"], disk, tmp_path)
    assert "Openstack OW2" in forgelet("account", "check", "Openstack OW2", "--project", "demo")
    listed = forgelet("image", "list")
    assert there["id"] in listed and "Found 1 publications" in listed
    assert "Published already, nothing was sent" in forgelet("image", "publish", "--id", str(image["dbId"]), "--file", str(tmp_path / "b.yml"))
    assert len(openstack.images()) == 1
    forgelet("image", "download", "--publish-id", "1", "--file", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == disk.read_bytes()
    forgelet("image", "delete", "--publish-id", "1")
    assert len(openstack.images()) == 1, "the second publication is the same image"
    forgelet("image", "delete", "--publish-id", "2")
    everything = b"".join(path.read_bytes() for path in service.data.rglob("*") if path.is_file())
    assert PASSWORD.encode() not in everything


def test_clouds_of_a_clouds_yaml_log_in_by_password_and_by_application_credential(service: Service, openstack: Openstack, tmp_path: Path) -> None:
    token = openstack.token()
    headers = {"X-Auth-Token": token}
    me = httpx.get(f"{openstack.keystone}/auth/tokens", headers={**headers, "X-Subject-Token": token}, trust_env=False).json()["token"]["user"]["id"]
    body = {"application_credential": {"name": "of-a-file"}}
    made = httpx.post(f"{openstack.keystone}/users/{me}/application_credentials", json=body, headers=headers, trust_env=False).json()["application_credential"]
    names = {"username": "demo", "project_name": "demo", "user_domain_name": "Default", "project_domain_name": "Default"}
    clouds = {
        "by-password": {"auth": {"auth_url": openstack.keystone, **names}, "region_name": "RegionOne"},
        "by-credential": {"auth_type": "v3applicationcredential", "auth": {"auth_url": openstack.keystone, "application_credential_id": made["id"]}},
    }
    secrets = {"by-password": {"auth": {"password": PASSWORD}}, "by-credential": {"auth": {"application_credential_secret": made["secret"]}}}
    (tmp_path / "clouds.yaml").write_text(json.dumps({"clouds": clouds}))
    (tmp_path / "secure.yaml").write_text(json.dumps({"clouds": secrets}))

    def forgelet(*words: str) -> str:
        done = subprocess.run([*FORGELET, "--url", f"{service.origin}/api", *words], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert PASSWORD not in done.stdout + done.stderr and made["secret"] not in done.stdout + done.stderr
        return done.stdout

    for cloud in clouds:
        forgelet("account", "create", "--cloud", cloud, "--name", f"our {cloud}")
        told = json.loads(forgelet("account", "check", f"our {cloud}", "-o", "json"))
        assert (told["user"], told["project"], told["abilities"]["publish"]) == ("demo", "demo", True), told
    image = planted_image(service, tmp_path / "tree", "qcow2")
    (tmp_path / "b.yml").write_text(
        "builders: [{type: openstack, hardwareSettings: {memory: 64}, installation: {diskSize: 64}, account: {cloud: by-credential}, imageName: by-cloud, publicImage: 'no'}]\n"
    )
    said = forgelet("image", "publish", "--id", str(image["dbId"]), "--file", "b.yml")
    [there] = openstack.images()
    assert (there["name"], there["status"]) == ("by-cloud", "active") and there["id"] in said
    [sent] = json.loads(forgelet("image", "list", "-o", "json"))["publishImages"]["publishImage"]
    forgelet("image", "delete", "--publish-id", str(sent["dbId"]))


def openstack_says_the_same(openstack: Openstack, cloud_id: str, disk: Path, scratch: Path) -> None:
    """OpenStack's own client lists it, shows what a scheduler wants and saves what was built."""
    assert [(one["ID"], one["Name"], one["Status"]) for one in json.loads(openstack.cli("image", "list", "-f", "json"))] == [(cloud_id, "scan-test", "active")]
    told = json.loads(openstack.cli("image", "show", "-f", "json", cloud_id))
    assert (told["disk_format"], told["container_format"], told["visibility"], told["protected"]) == ("qcow2", "bare", "private", False)
    assert (told["size"], told["min_disk"], told["min_ram"]) == (disk.stat().st_size, 1, 64)
    own = told["properties"]
    assert (own["os_hash_algo"], own["os_hash_value"]) == ("sha512", hashlib.sha512(disk.read_bytes()).hexdigest())
    assert (own["os_distro"], own["os_version"], own["os_type"], own["architecture"]) == ("debian", "12", "linux", "x86_64")
    assert (own["hw_disk_bus"], own["hw_vif_model"], own["hw_qemu_guest_agent"]) == ("virtio", "virtio", "yes")
    assert (own["forgelet_sha256"], bool(own["forgelet_version"])) == (hashlib.sha256(disk.read_bytes()).hexdigest(), True)
    openstack.cli("image", "save", "--file", str(scratch / "saved"), cloud_id)
    assert (scratch / "saved").read_bytes() == disk.read_bytes()


def test_a_cut_upload_is_begun_again(service: Service, openstack: Openstack, proxy: CutProxy, tmp_path: Path) -> None:
    account(service, openstack, glanceUrl=f"http://127.0.0.1:{proxy.port}")
    image = planted_image(service, tmp_path / "tree", "raw")
    proxy.cut_after, proxy.times = 1 << 20, 2
    sent = begin(service, image)
    job = service.ended(sent["jobId"])
    assert job["state"] == "done", job
    assert proxy.cuts == 2
    [there] = openstack.images()
    disk = Path(image["folder"]) / image["files"][0]["name"]
    assert there["os_hash_value"] == hashlib.sha512(disk.read_bytes()).hexdigest()
    assert "again from the start" in service.http.get(f"/_forgelet/jobs/{job['dbId']}/log").text
    assert service.http.delete(f"{BASE}/pimages/{sent['dbId']}").status_code == 204


def test_a_glance_that_goes_away_leaves_nothing_published(service: Service, openstack: Openstack, proxy: CutProxy, tmp_path: Path) -> None:
    account(service, openstack, glanceUrl=f"http://127.0.0.1:{proxy.port}")
    image = planted_image(service, tmp_path / "tree", "raw")
    proxy.cut_after, proxy.times = 1 << 20, 99
    sent = begin(service, image)
    # It is tried for a while before it is given up.
    job = service.ended(sent["jobId"], 90)
    assert (job["state"], job["code"]) == ("failed", "unreachable"), job
    assert job["hint"]
    assert shown(service, sent)["cloudId"] == ""


@pytest.mark.parametrize(
    ("fields", "given", "said"),
    [
        ({"password": "wrong-one"}, {}, "does not take the login"),
        ({"keystoneProject": "moon"}, {}, "project 'moon' is not one of the user's"),
        ({}, {"publicImage": True}, "does not allow it"),
        ({"keystoneUrl": "http://127.0.0.1:1/v3"}, {}, "cannot be reached"),
    ],
    ids=str,
)
def test_what_the_cloud_refuses_is_said_with_the_next_step(service: Service, openstack: Openstack, tmp_path: Path, fields: dict[str, str], given: dict[str, Any], said: str) -> None:
    account(service, openstack, **fields)
    sent = begin(service, planted_image(service, tmp_path / "tree", "qcow2"), **given)
    job = service.ended(sent["jobId"])
    assert job["state"] == "failed" and said in job["error"], job
    assert job["hint"] and "wrong-one" not in str(job)


def test_a_token_that_is_revoked_in_the_middle_is_renewed(service: Service, openstack: Openstack, proxy: CutProxy, tmp_path: Path) -> None:
    """Cut after the image was described, its tokens revoked, begun again: the second attempt needs a new token."""
    account(service, openstack, glanceUrl=f"http://127.0.0.1:{proxy.port}")
    image = planted_image(service, tmp_path / "tree", "raw")
    proxy.cut_after, proxy.times, proxy.then = 1 << 20, 1, lambda: revoke_all(openstack)
    sent = begin(service, image)
    job = service.ended(sent["jobId"])
    assert job["state"] == "done", job
    assert [one["status"] for one in openstack.images()] == ["active"]
    assert service.http.delete(f"{BASE}/pimages/{sent['dbId']}").status_code == 204


def revoke_all(openstack: Openstack) -> None:
    """Every token that demo has: Keystone does so when a user is disabled."""
    headers = {"X-Auth-Token": openstack.token("admin", "admin")}
    with httpx.Client(base_url=f"{openstack.keystone}/", headers=headers, trust_env=False) as http:
        user = http.get("users", params={"name": "demo"}).json()["users"][0]["id"]
        for enabled in (False, True):
            assert http.patch(f"users/{user}", json={"user": {"enabled": enabled}}).status_code == 200
            # Revocations count in whole seconds.
            time.sleep(1.1)


@pytest.mark.parametrize("how", ["cancel", "kill"])
def test_what_is_stopped_in_the_middle_is_taken_away(service: Service, openstack: Openstack, proxy: CutProxy, tmp_path: Path, how: str) -> None:
    account(service, openstack, glanceUrl=f"http://127.0.0.1:{proxy.port}")
    image = planted_image(service, tmp_path / "tree", "raw")
    proxy.delay = 1.0
    sent = begin(service, image)
    service.until(lambda: openstack.images())
    if how == "cancel":
        assert service.http.delete(f"/api/{sent['uri']}/cancel").status_code == 204
    else:
        import os

        os.killpg(service.child_of(sent["jobId"]), signal.SIGKILL)
    proxy.delay = 0.0
    assert service.ended(sent["jobId"])["state"] in ("cancelled", "failed")
    service.until(lambda: openstack.images() == [])
    assert shown(service, sent)["cloudId"] == ""


