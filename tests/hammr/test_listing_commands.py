"""Commands that list and show, on a service that has nothing yet, and the ways to log in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.hammr import Hammr
from support.service import Service

pytestmark = pytest.mark.hammr

BASE = "/api/users/root"


@pytest.mark.parametrize(
    ("command", "path", "wrapper", "item"),
    [
        (("format", "list"), f"{BASE}/targetformats", "targetFormats", "targetFormat"),
        (("platform", "list"), f"{BASE}/targetplatforms", "targetPlatforms", "targetPlatform"),
    ],
)
def test_what_is_listed_is_what_the_service_has(hammr: Hammr, service: Service, command: tuple[str, ...], path: str, wrapper: str, item: str) -> None:
    names = [one["name"] for one in service.http.get(path).json()[wrapper][item]]
    assert len(names) > 5
    shown = {cell for row in hammr(*command).rows() for cell in row}
    # Long names are wrapped by the client's table.
    assert {name for name in names if len(name) < 15} <= shown


def test_quotas_are_told_as_bars(hammr: Hammr, service: Service) -> None:
    kinds = {one["type"] for one in service.http.get(f"{BASE}/quotas").json()["quotas"]["quota"]}
    assert kinds == {"appliance", "diskusage", "generation", "scan"}
    assert "UForge Error" not in hammr("quota", "list").text


@pytest.mark.parametrize(
    ("command", "path", "wrapper", "said"),
    [
        (("scan", "list"), "scannedinstances", "scannedInstances", "No scans available"),
        (("image", "list"), "images", "images", "No image available"),
        (("template", "list"), "appliances", "appliances", "Found 0 templates"),
        (("deploy", "list"), "deployments", "deployments", "No deployment available"),
        (("migration", "list"), "migrations", "migrations", "No migrations available"),
    ],
)
def test_empty_lists_are_said_to_be_empty(hammr: Hammr, service: Service, command: tuple[str, ...], path: str, wrapper: str, said: str) -> None:
    assert not any(service.http.get(f"{BASE}/{path}").json()[wrapper].values())
    assert said.lower() in hammr(*command).text.lower()


def test_one_batch_runs_many_commands_and_goes_on_after_a_wrong_one(hammr: Hammr, service: Service) -> None:
    file = hammr.home / "batch"
    file.write_text("user info\nimage info --id 99\nformat list\n")
    said = hammr("batch", "--file", str(file))
    assert service.http.get(f"{BASE}/images/99").status_code == 404
    assert "OpenStack QCOW2" in said.text


def test_the_interactive_shell_does_what_it_is_told_and_ends(hammr: Hammr, service: Service) -> None:
    file = hammr.home / "account.yml"
    file.write_text("accounts: [{type: Docker, name: by-shell, endpointUrl: 'http://d', login: l, password: p}]\n")
    said = hammr(typed=f"user info\naccount create --file {file}\naccount list\nquit\n")
    (one,) = [one for one in service.http.get(f"{BASE}/accounts").json()["credAccounts"]["credAccount"] if one["name"] == "by-shell"]
    assert [str(one["dbId"]), "by-shell"] in [row[:2] for row in said.rows()]
    assert service.http.get(BASE).json()["loginName"] in {row[0] for row in said.rows()}


@pytest.mark.parametrize(("kind", "text"), [("yml", "user: root\npassword: forgelet\nurl: {}\n"), ("json", '{{"user": "root", "password": "forgelet", "url": "{}"}}')])
def test_credentials_are_read_from_the_home(anybody: Callable[..., Hammr], service: Service, kind: str, text: str) -> None:
    home = anybody()
    file: Path = home.home / ".hammr" / f"credentials.{kind}"
    file.parent.mkdir()
    file.write_text(text.format(home.url))
    assert service.http.get(BASE).json()["loginName"] == "root"
    assert "root" in home("user", "info").text


def test_a_url_where_nothing_answers_is_told(anybody: Callable[..., Hammr], service: Service) -> None:
    said = anybody("-u", "root", "-p", "forgelet", url="http://127.0.0.1:9/api")("user", "info", status=2)
    assert "Cannot reached the UForge server" in said.text
    assert service.http.get("/api/status").status_code == 200


def test_trailing_slashes_of_the_url_do_not_matter(anybody: Callable[..., Hammr], service: Service) -> None:
    said = anybody("-u", "root", "-p", "forgelet", url=f"{service.origin}/api/")("user", "info")
    assert service.http.get(BASE).json()["loginName"] in said.text


def test_images_that_are_not_there_are_said_to_be_missing(hammr: Hammr, service: Service) -> None:
    assert service.http.get(f"{BASE}/images").json() == {"images": {"image": []}}
    assert "No image found" in hammr("image", "delete", "--id", "7", status=2).text
    assert "No image found" in hammr("image", "cancel", "--id", "7", status=2).text
