"""Cloud accounts, formats, platforms and categories, as the real client asks for them."""

from __future__ import annotations

from typing import Any

import pytest
from lxml import etree

from builders.spec import TYPES
from emulator.resources.accounts import service as accounts
from emulator.resources.accounts.tables import CloudAccount
from emulator.resources.formats import catalogue
from emulator.wire.schema import schema

AS_XML = {"Accept": "application/xml", "Content-Type": "application/xml"}
ACCOUNTS = "/api/users/root/accounts"
TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"


def request(platform: catalogue.Platform, **fields: str) -> bytes:
    """As the real client writes it: every element with a type, and only the platform's name."""
    inner = "".join(f'<{key} xsi:type="ns2:string">{value}</{key}>' for key, value in fields.items())
    return (
        '<ns1:credAccount xmlns:ns1="http://www.usharesoft.com/uforge" xmlns:ns2="http://www.w3.org/2001/XMLSchema" '
        f'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="ns1:{platform.account}">'
        f'<targetPlatform xsi:type="ns1:TargetPlatform"><name xsi:type="ns2:string">{platform.name}</name></targetPlatform>{inner}</ns1:credAccount>'
    ).encode()


@pytest.mark.parametrize("platform", catalogue.platforms(), ids=lambda one: one.type)
def test_an_account_of_every_platform(drive: Any, platform: catalogue.Platform) -> None:
    given = {key: f"https://{key}.example" if key.endswith("Url") else f"the-{key}" for key in platform.needs}
    given |= {"keystoneVersion": "v3"} if "keystoneVersion" in given else {}
    made = drive.http.post(ACCOUNTS, content=request(platform, name="mine", **given), headers=AS_XML)
    assert made.status_code == 201, made.text
    told = etree.fromstring(drive.http.get(ACCOUNTS, headers=AS_XML).content).find("credAccounts/credAccount[name='mine']")
    assert told.get(TYPE) == f"ns1:{platform.account}"
    assert told.findtext("targetPlatform/type") == platform.type
    assert (told.find("certificates") is not None) == (platform.type in ("aws", "google"))
    shown = {one.tag for one in told}
    assert shown.isdisjoint(set(platform.secrets) - {"certificates"})
    assert shown >= set(given) - set(platform.secrets)
    with drive.service.database.read() as session:
        kept = accounts.named(session, drive.service.authenticator.user("Basic cm9vdDpmb3JnZWxldA=="), "mine")
    assert accounts.secrets(drive.service, kept) == {key: given[key] for key in platform.secrets if key in given}
    number = told.findtext("dbId")
    assert drive.http.delete(f"{ACCOUNTS}/{number}").status_code == 204
    drive.error(drive.http.get(f"{ACCOUNTS}/{number}"), 404)


def test_secrets_are_sealed(drive: Any) -> None:
    fields = {"glanceUrl": "http://g", "keystoneUrl": "http://k", "keystoneVersion": "v3", "login": "me", "password": "open-sesame"}
    made = drive.http.post(ACCOUNTS, json={"name": "mine", "targetPlatform": {"name": "OpenStack"}, **fields})
    assert made.status_code == 201, made.text
    assert "open-sesame" not in made.text
    everything = b"".join(path.read_bytes() for path in drive.service.folders.data.rglob("*") if path.is_file())
    assert b"open-sesame" not in everything
    again = drive.http.post(ACCOUNTS, json={"name": "mine", "targetPlatform": {"name": "OpenStack"}, **fields})
    drive.error(again, 409)


def test_every_mistake_is_named(drive: Any) -> None:
    body = {"xsiType": "CredAccountDocker", "targetPlatform": {"name": "OpenStack"}, "login": "x", "endpointUrl": "y"}
    told = drive.error(drive.http.post(ACCOUNTS, json=body), 400)
    assert [one.partition(":")[0] for one in told["problems"]][:5] == ["name", "keystoneUrl", "keystoneVersion", "password", "endpointUrl"]
    drive.error(drive.http.post(ACCOUNTS, json={"name": "x", "targetPlatform": {"name": "Nimbus"}}), 400)
    drive.error(drive.http.post(ACCOUNTS, json={"name": "x", "targetPlatform": "OpenStack"}), 400)


def test_certificates_of_google(drive: Any) -> None:
    body = {"name": "g", "targetPlatform": {"name": "Google Compute Engine"}, "certificates": {"certificate": [{"name": "c.json", "type": "googleCertificate", "content": "c2VjcmV0"}]}}
    made = drive.http.post(ACCOUNTS, json=body).json()
    assert made["certificates"] == {"certificate": [{"name": "c.json", "type": "googleCertificate"}]}
    assert made["secretsMissing"] is False


def test_the_catalogue_fits_uforge() -> None:
    kinds = schema()
    for one in catalogue.platforms():
        assert set(one.needs) | set(one.may) | set(one.secrets) - set(one.ours) <= set(kinds.type(one.account).elements), one
    named = [one.name.lower() for one in catalogue.formats()]
    assert len(set(named)) == len(named)
    unbuildable = {"cloudburstvmware", "cloudsigmaraw", "cloudwatt", "esx", "hyperv2012", "ovf09"}
    assert {one.format for one in catalogue.formats()} == kinds.type("ImageFormat").elements["name"].simple.values - unbuildable


def test_formats_platforms_orgs_and_categories(drive: Any) -> None:
    formats = drive.http.get("/api/users/root/targetformats").json()["targetFormats"]["targetFormat"]
    assert {one["name"].lower() for one in formats if one["access"]} == set(TYPES)
    assert len(drive.http.get("/api/users/root/targetplatforms").json()["targetPlatforms"]["targetPlatform"]) == 12
    org = drive.http.get("/api/users/root/orgs").json()["orgs"]["org"][0]
    found = drive.http.get(f"/api/{org['uri']}/categories?query=type=='PROJECT'").json()["categories"]["category"]
    assert {one["type"] for one in found} == {"PROJECT"}
    drive.error(drive.http.get("/api/orgs/2/categories"), 404)
    drive.error(drive.http.get("/api/orgs/1/categories?query=type=PROJECT"), 400)


@pytest.mark.parametrize(("version", "status"), [("v3", 201), ("3.0", 201), ("V2.0", 201), ("v9", 400)])
def test_a_version_of_keystone_that_is_none_is_refused(drive: Any, version: str, status: int) -> None:
    openstack = next(one for one in catalogue.platforms() if one.type == "openstack")
    given = {"glanceUrl": "https://g.example", "keystoneUrl": "https://k.example", "login": "demo", "password": "secret", "keystoneVersion": version}
    said = drive.http.post(ACCOUNTS, content=request(openstack, name="mine", **given), headers={**AS_XML, "Accept": "application/json"})
    assert said.status_code == status, said.text
    assert (f"keystoneVersion '{version}' is none" in said.text) == (status == 400)


def test_reset_takes_accounts_away(drive: Any) -> None:
    drive.http.post(ACCOUNTS, json={"name": "o", "targetPlatform": {"name": "Outscale"}})
    assert drive.http.post("/_forgelet/reset").status_code == 200
    assert [one["name"] for one in drive.http.get(ACCOUNTS).json()["credAccounts"]["credAccount"]] == ["local"]


def test_every_user_has_the_cloud_of_this_machine_from_the_start(drive: Any) -> None:
    drive.http.post("/_forgelet/users", json={"login": "alice", "password": "secret"})
    mine = drive.http.get(ACCOUNTS).json()["credAccounts"]["credAccount"]
    hers = drive.http.get("/api/users/alice/accounts", auth=("alice", "secret")).json()["credAccounts"]["credAccount"]
    assert [(one["name"], one["login"], one["secretsMissing"]) for one in (*mine, *hers)] == [("local", "root", False), ("local", "alice", False)]
    told = drive.error(drive.http.delete(f"{ACCOUNTS}/{mine[0]['dbId']}"), 409)
    assert "stays" in told["localizedErrorMsg"]["message"]
    drive.error(drive.http.post(ACCOUNTS, json={"name": "local", "targetPlatform": {"name": "Outscale"}}), 409)


OWN = {"keystoneUrl": "http://k", "keystoneVersion": "v3", "glanceUrl": "http://g", "login": "me", "password": "first-word"}


def made(drive: Any) -> Any:
    return drive.http.post(ACCOUNTS, json={"name": "mine", "targetPlatform": {"name": "OpenStack"}, **OWN}).json()


def test_what_opens_an_account_is_replaced_and_its_name_stays(drive: Any) -> None:
    account = made(drive)
    told = {"name": "mine", "targetPlatform": {"name": "OpenStack"}, **OWN, "password": "second-word", "login": "her"}
    answer = drive.http.put(f"{ACCOUNTS}/{account['dbId']}", json=told)
    assert (answer.status_code, answer.json()["login"], "second-word" in answer.text) == (200, "her", False)
    with drive.service.database.read() as session:
        row = session.get_one(CloudAccount, account["dbId"])
    assert accounts.secrets(drive.service, row) == {"password": "second-word"}
    drive.error(drive.http.put(f"{ACCOUNTS}/{account['dbId']}", json={**told, "name": "other"}), 409)
    drive.error(drive.http.put(f"{ACCOUNTS}/{account['dbId']}", json={**told, "password": ""}), 400)
    [local] = [one for one in drive.http.get(ACCOUNTS).json()["credAccounts"]["credAccount"] if one["name"] == "local"]
    drive.error(drive.http.put(f"{ACCOUNTS}/{local['dbId']}", json={**told, "name": "local"}), 409)


def test_an_account_that_something_needs_stays(drive: Any) -> None:
    """Without it nothing of it could be taken out of its cloud."""
    account, image = made(drive), drive.image()
    sent = drive.http.post(f"/api/{image['uri']}/pimages", json={"credAccount": {"name": "mine"}, "displayName": "web"}).json()
    assert drive.service.queue.wait(sent["jobId"], 10)
    deployed = drive.http.post(f"/api/users/root/pimages/{sent['dbId']}/deployments", json={"name": "x", "flavor": "small"}).json()
    assert drive.service.queue.wait(deployed["jobId"], 10)
    told = drive.error(drive.http.delete(f"{ACCOUNTS}/{account['dbId']}"), 409)
    assert told["problems"] == [f"deployment {deployed['applicationId']}: x", f"publication {sent['dbId']}: web"]
    assert drive.http.delete(f"/api/users/root/deployments/{deployed['applicationId']}").status_code == 204
    assert drive.error(drive.http.delete(f"{ACCOUNTS}/{account['dbId']}"), 409)["problems"] == [f"publication {sent['dbId']}: web"]
    assert drive.http.delete(f"/api/users/root/pimages/{sent['dbId']}").status_code == 204
    assert drive.http.delete(f"{ACCOUNTS}/{account['dbId']}").status_code == 204


@pytest.mark.parametrize("named", ["mine", {"name": "mine"}, {"dbId": 2}, {"uri": "users/root/accounts/2"}])
def test_an_account_that_a_running_migration_will_publish_to_stays(drive: Any, tasks: Any, named: Any) -> None:
    account = made(drive)
    assert account["dbId"] == 2
    tasks.gate.clear()
    builder = {"type": "openstack", "account": named}
    migration = drive.http.post("/api/users/root/migrations/launches", json={"name": "web", "target": "docker:web", "builder": builder}).json()
    assert drive.error(drive.http.delete(f"{ACCOUNTS}/2"), 409)["problems"] == [f"migration {migration['dbId']}: web"]
    assert drive.http.post(f"/api/users/root/migrations/{migration['dbId']}/stop").status_code == 204
    assert drive.http.delete(f"{ACCOUNTS}/2").status_code == 204
