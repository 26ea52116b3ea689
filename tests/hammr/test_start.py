"""What the client does before any command: find the service, log in, compare versions (PROTOCOL, section 1).

Who was logged in is asserted by what he then has: each way to log in creates an account.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable

import pytest
from support.hammr import Hammr
from support.service import FORGELET, Service

pytestmark = pytest.mark.hammr

ACCOUNT = {"type": "Docker", "endpointUrl": "http://d", "login": "l", "password": "p"}


def create(home: Hammr, name: str, *words: str, **run: str) -> None:
    """`account create` of a file in JSON."""
    file = home.home / "account.json"
    file.write_text(json.dumps({"accounts": [{**ACCOUNT, "name": name}]}))
    home("account", "create", "--file", str(file), *words, **run)  # type: ignore[arg-type]


def names(service: Service) -> list[str]:
    return [one["name"] for one in service.http.get("/api/users/root/accounts").json()["credAccounts"]["credAccount"]]


def test_user_info_tells_who_is_logged_in(hammr: Hammr, service: Service) -> None:
    said = hammr("user", "info")
    told = service.http.get("/api/users/root").json()
    assert [told["loginName"]] == [row[0] for row in said.rows() if row[0] == "root"]


def test_a_wrong_password_is_told_as_an_error_of_uforge(anybody: Callable[..., Hammr], service: Service) -> None:
    said = anybody("-u", "root", "-p", "wrong")("user", "info", status=2)
    assert "UForge Error '401' with method: GET /api/status" in said.text
    assert service.http.get("/api/status", auth=("root", "wrong")).status_code == 401


def test_the_version_is_told_and_is_the_services(anybody: Callable[..., Hammr], service: Service) -> None:
    assert f"version '{service.http.get('/api/status').json()['version']}'" in anybody()("-v").text


def test_without_a_password_it_is_asked_for(anybody: Callable[..., Hammr], service: Service) -> None:
    create(anybody("-u", "root"), "asked", typed="forgelet\n")
    assert "asked" in names(service)


def test_api_keys_are_read_from_a_file(anybody: Callable[..., Hammr], service: Service) -> None:
    key, home = service.http.post("/_forgelet/users/root/keys").json(), anybody()
    file = home.home / "keys.yaml"
    file.write_text(f"user: root\npublickey: {key['publicKey']}\nsecretkey: {key['secretKey']}\nurl: {home.url}\n")
    create(home, "by-keys", "--credentials", str(file))
    assert "by-keys" in names(service)


def test_long_names_of_options_are_as_good_as_short_ones(anybody: Callable[..., Hammr], service: Service) -> None:
    key, home = service.http.post("/_forgelet/users/root/keys").json(), anybody()
    who = ("--url", home.url, "--user", "root")
    create(home, "long-password", *who, "--password", "forgelet")
    create(home, "long-keys", *who, "--publickey", key["publicKey"], "--secretkey", key["secretKey"])
    assert {"long-password", "long-keys"} <= set(names(service))


@pytest.mark.parametrize("keys", [False, True])
def test_the_file_that_forgelet_writes_is_all_that_hammr_needs(anybody: Callable[..., Hammr], service: Service, keys: bool) -> None:
    home = anybody()
    secret = ["-p", "forgelet"]
    if keys:
        key = service.http.post("/_forgelet/users/root/keys").json()
        secret = ["-k", key["publicKey"], "-s", key["secretKey"]]
    words = [*FORGELET, "hammr", "--write", "-a", home.url, "-u", "root", *secret]
    subprocess.run(words, env={**os.environ, "HOME": str(home.home)}, capture_output=True, check=True)
    create(home, f"written-{keys}")
    assert f"written-{keys}" in names(service)
