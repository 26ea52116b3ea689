"""The contract of clouds on a real Keystone and a real Glance, and every way to log in."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.openstack import PASSWORD, Openstack
from support.tinydisk import offer

from builders.clouds import contract
from builders.clouds.base import Account
from builders.clouds.openstack import OpenstackCloud
from builders.errors import CloudRefused
from scanner.errors import Unreachable
from scanner.progress import Silent


@pytest.mark.parametrize("check", contract.CHECKS, ids=lambda one: one.__name__)
def test_the_contract(openstack: Openstack, check: contract.Check, tmp_path: Path) -> None:
    check(OpenstackCloud(openstack.opened()), offer(tmp_path / "image", "contract", "qcow2"), tmp_path)
    assert openstack.images() == []


@pytest.mark.parametrize(
    "fields",
    [
        {"keystoneDomain": "default"},
        {"keystoneDomain": "Default"},
        {"keystoneDomain": "DEFAULT"},
        {"keystoneProject": "DEMO"},
        {"keystoneProject": "second"},
        {"keystoneVersion": "3.0"},
        {"keystoneVersion": "v2.0"},
        {"glanceUrl": None},
        {"glanceUrl": "{glance}/v2"},
        {"keystoneUrl": "{keystone}/"},
    ],
    ids=str,
)
def test_it_logs_in_as_people_write_it(openstack: Openstack, fields: dict[str, Any]) -> None:
    places = {"keystone": openstack.keystone, "glance": openstack.glance}
    given = {key: value.format(**places) if isinstance(value, str) else value for key, value in fields.items()}
    said = OpenstackCloud(openstack.opened(**given)).check()
    assert said.user == "demo"
    assert said.project == ("Second" if given.get("keystoneProject") == "second" else "demo")
    assert said.abilities["publish"] is True
    # This cloud has neither Nova nor Neutron, and a member may not publish to all.
    assert said.abilities == {"publish": True, "publish to all": False, "provision": False, "networks": False}
    assert "there is no compute service" in said.facts["no provision"] and "there is no network service" in said.facts["no networks"]
    assert said.facts["roles"] == "member, reader"
    assert ("warning" in said.facts) == (given.get("keystoneVersion") == "v2.0")


@pytest.mark.parametrize("spelling", ["Sales", "sales", "SALES", "{id}"])
def test_a_domain_of_another_name_than_its_id_is_found(openstack: Openstack, spelling: str) -> None:
    said = OpenstackCloud(openstack.opened(login="seller", keystoneProject="shop", keystoneDomain=spelling.format(id=openstack.sales))).check()
    assert (said.user, said.project, said.abilities["publish"]) == ("seller", "Shop", True)


def test_a_domain_that_is_not_there_is_named(openstack: Openstack) -> None:
    with pytest.raises(CloudRefused, match="no user 'seller' with this password in a domain 'Moon'"):
        OpenstackCloud(openstack.opened(login="seller", keystoneDomain="Moon")).check()


def test_an_application_credential_of_another_project_is_refused(openstack: Openstack) -> None:
    token = openstack.token()
    headers = {"X-Auth-Token": token}
    me = httpx.get(f"{openstack.keystone}/auth/tokens", headers={**headers, "X-Subject-Token": token}, trust_env=False).json()["token"]["user"]["id"]
    body = {"application_credential": {"name": "of demo"}}
    made = httpx.post(f"{openstack.keystone}/users/{me}/application_credentials", json=body, headers=headers, trust_env=False).json()["application_credential"]
    fields = {"keystoneUrl": openstack.keystone, "applicationCredentialId": made["id"], "keystoneProject": "Second"}
    with pytest.raises(CloudRefused, match="is one of project 'demo', and the builder names 'Second'"):
        OpenstackCloud(Account("cloud", "cloud", fields, {"applicationCredentialSecret": made["secret"]})).check()


@pytest.mark.parametrize(
    ("user", "project", "publish", "to_all"), [("admin", "admin", True, True), ("demo", "demo", True, False), ("reader", "Readers", False, False)]
)
def test_it_tells_what_the_account_may_really_do_and_leaves_nothing(openstack: Openstack, user: str, project: str, publish: bool, to_all: bool) -> None:
    said = OpenstackCloud(openstack.opened(login=user, keystoneProject=project)).check()
    assert (said.abilities["publish"], said.abilities["publish to all"]) == (publish, to_all)
    assert ("no publish" in said.facts) is not publish
    assert openstack.images(user, project) == []


@pytest.mark.parametrize(
    ("fields", "error", "said"),
    [
        ({"password": "wrong"}, CloudRefused, "does not take the login (HTTP 401)"),
        ({"keystoneProject": "moon"}, CloudRefused, "project 'moon' is not one of the user's (there are: Second, demo)"),
        ({"keystoneProject": None}, CloudRefused, "which project? (there are: Second, demo)"),
        ({"keystoneVersion": "v7"}, CloudRefused, "keystoneVersion 'v7'"),
        ({"keystoneUrl": "http://127.0.0.1:1/v3"}, Unreachable, "cannot be reached"),
    ],
    ids=str,
)
def test_what_does_not_log_in_says_why(openstack: Openstack, fields: dict[str, Any], error: type[Exception], said: str) -> None:
    with pytest.raises(error) as refused:
        OpenstackCloud(openstack.opened(**fields)).check()
    assert said in str(refused.value)
    assert PASSWORD not in str(refused.value)


def test_an_application_credential_logs_in(openstack: Openstack) -> None:
    token = openstack.token()
    headers = {"X-Auth-Token": token}
    me = httpx.get(f"{openstack.keystone}/auth/tokens", headers={**headers, "X-Subject-Token": token}, trust_env=False).json()["token"]["user"]["id"]
    body = {"application_credential": {"name": "forgelet"}}
    made = httpx.post(f"{openstack.keystone}/users/{me}/application_credentials", json=body, headers=headers, trust_env=False).json()["application_credential"]
    fields = {"keystoneUrl": openstack.keystone, "keystoneVersion": "v3", "applicationCredentialId": made["id"]}
    said = OpenstackCloud(Account("cloud", "cloud", fields, {"applicationCredentialSecret": made["secret"]})).check()
    assert (said.user, said.project) == ("demo", "demo")


@pytest.mark.parametrize("format", ["raw", "qcow2", "vmdk", "vhd", "vdi"])
def test_every_format_arrives_as_what_it_is(openstack: Openstack, tmp_path: Path, format: str) -> None:
    cloud = OpenstackCloud(openstack.opened())
    sent_offer = offer(tmp_path / "image", f"format {format}", format)
    sent = cloud.publish(sent_offer, Silent(), lambda _: None)
    try:
        [told] = openstack.images()
        assert (told["status"], told["disk_format"], told["container_format"], told["visibility"]) == ("active", format, "bare", "private")
        assert told["os_hash_value"] == hashlib.sha512(sent_offer.file.read_bytes()).hexdigest() == sent.sha512
        assert (told["min_disk"], told["min_ram"], told["name"]) == (1, 64, f"format {format}")
        assert (told["hw_disk_bus"], told["hw_qemu_guest_agent"], told["architecture"]) == ("virtio", "yes", "x86_64")
        assert told["forgelet_sha256"] == sent_offer.sha256
    finally:
        cloud.withdraw(sent.cloud_id)


def test_a_member_may_not_publish_to_all(openstack: Openstack, tmp_path: Path) -> None:
    from dataclasses import replace

    with pytest.raises(CloudRefused, match="does not allow it") as refused:
        OpenstackCloud(openstack.opened()).publish(replace(offer(tmp_path / "image"), public=True), Silent(), lambda _: None)
    assert "publicImage" in refused.value.hint
    admin = OpenstackCloud(openstack.opened(login="admin", keystoneProject="admin"))
    sent = admin.publish(replace(offer(tmp_path / "again"), public=True), Silent(), lambda _: None)
    assert [one["visibility"] for one in openstack.images()] == ["public"]
    admin.withdraw(sent.cloud_id)
