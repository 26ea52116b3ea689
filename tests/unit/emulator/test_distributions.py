"""Distributions, profiles and packages, as `os list` and `os search` ask for them."""

from __future__ import annotations

from typing import Any

import pytest
from lxml import etree

from builders.stack import PROFILES, RELEASES
from emulator.resources.distributions.names import tell_distribution, uforge_name
from emulator.wire.schema import schema

AS_XML = {"Accept": "application/xml"}


def listed(drive: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = drive.http.get("/api/users/root/distros").json()["distributions"]["distribution"]
    return found


def test_the_catalogue_has_what_templates_can_be_made_of(drive: Any) -> None:
    assert [(one["name"], one["version"]) for one in listed(drive)] == [("Debian", version) for version in RELEASES]
    found = etree.fromstring(drive.http.get("/api/distributions/2/profiles", headers=AS_XML).content)
    assert [one.findtext("name") for one in found.iterfind("distribProfiles/distribProfile")] == list(PROFILES)
    drive.error(drive.http.get("/api/distributions/99"), 404)


def test_what_was_scanned_is_listed_once(drive: Any) -> None:
    drive.scan("a")
    drive.scan("b")
    with drive.service.database.write() as session:
        session.connection().exec_driver_sql("UPDATE scanned_instance SET distribution='Rocky Linux', version='9.4'")
    extra = listed(drive)[len(RELEASES) :]
    assert [(one["name"], one["version"], one["realName"]) for one in extra] == [("CentOS", "9.4 (Rocky Linux)", "Rocky Linux")]
    number = extra[0]["dbId"]
    assert drive.http.get(f"/api/distributions/{number}").json()["version"] == "9.4 (Rocky Linux)"
    assert drive.http.get(f"/api/distributions/{number}/profiles").json() == {"distribProfiles": {"distribProfile": []}}
    told = drive.error(drive.http.get(f"/api/distributions/{number}/pkgs?query=name==x"), 400)
    assert "Rocky Linux" in told["localizedErrorMsg"]["message"]


def test_packages_are_searched_in_the_release_that_was_asked_for(drive: Any) -> None:
    found = etree.fromstring(drive.http.get("/api/distributions/2/pkgs?query=name==ng*", headers=AS_XML).content)
    assert [(one.findtext("name"), one.findtext("version"), one.findtext("pkgBuildDate")) for one in found.iterfind("pkgs/pkg")] == [
        ("bookworm-nginx", "1.0-1", "2024-05-01T12:00:00Z"),
        ("bookworm-nginx", "1.1-1", "2024-05-01T12:00:00Z"),
    ]
    assert len(drive.http.get("/api/distributions/2/pkgs?query=name==nginx;version==1.1-1").json()["pkgs"]["pkg"]) == 1
    assert drive.http.get("/api/distributions/2/pkgs?query=name==none").json() == {"pkgs": {"pkg": []}}
    drive.error(drive.http.get("/api/distributions/2/pkgs"), 400)


@pytest.mark.parametrize("name", ["Debian", "CentOS", "Rocky Linux", "Alpine", "unknown", "", "Ubuntu", "openSUSE Leap", "Fedora Linux", "Red Hat Enterprise Linux", "\udcff"])
@pytest.mark.parametrize("arch", ["x86_64", "amd64", "aarch64", ""])
def test_every_name_becomes_one_that_the_client_can_read(name: str, arch: str) -> None:
    told = tell_distribution(name, "1", arch)
    elements = schema().type("Distribution").elements
    assert told["name"] in elements["name"].simple.values
    assert told["arch"] in elements["arch"].simple.values


def test_names_of_the_list_stay_as_they_are() -> None:
    for name in schema().type("Distribution").elements["name"].simple.values:
        assert uforge_name(name) == (name, "")
