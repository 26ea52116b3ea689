"""How an account logs in, against a Keystone that writes down what it is asked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from support.listening import Silent, listening

from builders.clouds.base import Account
from builders.clouds.login import Login
from builders.errors import CloudRefused

PROJECTS = [{"id": "p1", "name": "demo", "domain_id": "d1"}, {"id": "p2", "name": "demo", "domain_id": "d2"}]


@dataclass
class Keystone:
    """`asked`: what tokens were asked for; the user `me` is in the domain of the name `Sales`."""

    url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)

    def token(self, auth: dict[str, Any]) -> dict[str, Any] | None:
        self.asked.append(auth)
        identity = auth["identity"]
        user = next(identity[kind] for kind in ("password", "application_credential") if kind in identity)
        user = user.get("user", {})
        if "domain" in user and user["domain"] != {"name": "Sales"}:
            return None
        who = {"id": "u", "name": "me", "domain": {"id": "d1", "name": "Sales"}}
        return {"token": {"methods": ["password"], "user": who, "project": {"id": "p1", "name": "demo"}, "expires_at": "2099-01-01T00:00:00.000000Z", "issued_at": "2020-01-01T00:00:00.000000Z", "catalog": []}}


@pytest.fixture
def keystone() -> Iterator[Keystone]:
    here = Keystone()

    class Handler(Silent):
        def _say(self, status: int, told: Any) -> None:
            body = json.dumps(told).encode()
            self.send_response(status)
            self.send_header("X-Subject-Token", "t")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            found = here.token(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["auth"])
            self._say(201 if found else 401, found or {"error": {"message": "no", "code": 401}})

        def do_GET(self) -> None:
            self._say(200, {"projects": PROJECTS})

    with listening(Handler) as origin:
        here.url = f"{origin}/v3"
        yield here


def login(keystone: Keystone, secrets: dict[str, str] | None = None, **fields: str) -> Login:
    return Login(Account("c", "cloud", {"keystoneUrl": keystone.url, "keystoneVersion": "v3", **fields}, secrets or {"password": "pw"}))


def test_a_users_number_is_no_name(keystone: Keystone) -> None:
    assert login(keystone, userId="0123abc", keystoneProject="p1").project_id == "p1"
    assert [one["identity"]["password"]["user"] for one in keystone.asked] == [{"id": "0123abc", "password": "pw"}] * 2


def test_a_name_is_looked_for_in_its_domain(keystone: Keystone) -> None:
    assert login(keystone, login="me", keystoneDomain="sales", keystoneProject="p1").user_name == "me"
    assert keystone.asked[-1]["identity"]["password"]["user"] == {"name": "me", "domain": {"name": "Sales"}, "password": "pw"}


def test_an_application_credential_goes_by_its_name_too(keystone: Keystone) -> None:
    told = login(keystone, {"applicationCredentialSecret": "s"}, applicationCredentialName="n", login="me", keystoneDomain="Sales")
    assert told.user_name == "me"
    assert keystone.asked[-1]["identity"]["application_credential"] == {"name": "n", "secret": "s", "user": {"name": "me", "domain": {"name": "Sales"}}}


@pytest.mark.parametrize(
    ("domain", "scope"),
    [("d2", {"project": {"id": "p2"}}), ("D1", {"project": {"id": "p1"}}), ("Other", {"project": {"name": "demo", "domain": {"name": "Other"}}})],
)
def test_a_project_is_the_one_of_its_domain(keystone: Keystone, domain: str, scope: dict[str, Any]) -> None:
    assert login(keystone, userId="u", keystoneProject="demo", projectDomain=domain).user_name == "me"
    assert keystone.asked[-1]["scope"] == scope
    with pytest.raises(CloudRefused, match="which project"):
        login(keystone, userId="u", keystoneProject="demo").project_id  # noqa: B018  # asking is what raises


def test_the_accounts_own_authority_counts_or_any(keystone: Keystone) -> None:
    assert login(keystone, userId="u")._session(None).verify is True
    assert login(keystone, userId="u", insecure="true")._session(None).verify is False
    mine = login(keystone, userId="u", caCertificate="-----BEGIN CERTIFICATE-----\n")
    place = Path(mine._session(None).verify)
    assert (place.read_text(), place.stat().st_mode & 0o077) == ("-----BEGIN CERTIFICATE-----\n", 0)
    del mine
    assert not place.exists()
