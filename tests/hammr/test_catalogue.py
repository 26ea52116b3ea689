"""Users, keys, quotas, distributions, packages, formats, platforms, categories and accounts (rows 1 to 15 of the call table)."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.hammr import Hammr, Said
from support.service import FORGELET, Service, until

pytestmark = pytest.mark.hammr


def names(said: list[list[str]], column: int) -> set[str]:
    """A column's values, headings and the lines of wrapped cells left out."""
    return {row[column] for row in said[1:] if len(row) > column and row[column]}


def test_os_list_and_search(hammr: Hammr, service: Service) -> None:
    told = service.http.get("/api/users/root/distros").json()["distributions"]["distribution"]
    # The profiles are one below another in the last column.
    assert {row[0] for row in hammr("os", "list").rows() if row[0].isdigit()} == {str(one["dbId"]) for one in told}
    number = next(one["dbId"] for one in told if one["version"] == "12")
    said = hammr("os", "search", "--id", str(number), "--pkg", "base-file*")
    found = service.http.get(f"/api/distributions/{number}/pkgs", params={"query": "name==base-file*"}).json()["pkgs"]["pkg"]
    assert "base-files" in {one["name"] for one in found}
    assert f"Found {len(found)} packages" in said.text


def test_formats_platforms_and_categories(hammr: Hammr, service: Service) -> None:
    formats = service.http.get("/api/users/root/targetformats").json()["targetFormats"]["targetFormat"]
    assert names(hammr("format", "list").rows(), 0) == {one["name"] for one in formats}
    platforms = service.http.get("/api/users/root/targetplatforms").json()["targetPlatforms"]["targetPlatform"]
    assert names(hammr("platform", "list").rows(), 1) == {one["name"] for one in platforms}
    categories = service.http.get("/api/orgs/1/categories?query=type=='PROJECT'").json()["categories"]["category"]
    assert names(hammr("bundle", "categories").rows(), 0) == {one["name"] for one in categories}


def test_quotas(hammr: Hammr, service: Service) -> None:
    assert hammr("quota", "list").text.count("UNLIMITED") == 4
    assert service.http.put("/_forgelet/users/root/quotas", json={"type": "diskusage", "limit": 5 << 30}).status_code == 200
    said = hammr("quota", "list").text
    assert said.count("UNLIMITED") == 3
    told = service.http.get("/api/users/root/quotas").json()["quotas"]["quota"]
    assert {one["type"]: one["limit"] for one in told}["diskusage"] == 5 << 30


ACCOUNTS = """
accounts:
- {type: OpenStack, name: stack, glanceUrl: "http://g", keystoneUrl: "http://k", keystoneVersion: v3, login: me, password: hidden-word}
- {type: Amazon AWS, name: amazon, accessKeyId: a, accountNumber: "1", secretAccessKeyId: hidden-word}
- {type: Microsoft Azure, name: azure, applicationId: a, applicationKey: hidden-word, subscriptionId: s, tenantId: t}
- {type: CloudStack, name: cs, endpointUrl: "http://c", publicApiKey: p, secretApiKey: hidden-word}
- {type: Docker, name: docker, endpointUrl: "http://d", login: l, password: hidden-word}
- {type: Fujitsu K5, name: k5, login: l, password: hidden-word}
- {type: OpenShift, name: os, registryUrl: "http://r", token: hidden-word}
- {type: Oracle Cloud, name: oracle, domainName: d, login: l, password: hidden-word}
- {type: Outscale, name: outscale, accessKey: a, secretAccessKey: hidden-word}
- {type: VMware vCloud Director, name: vcd, hostname: h, login: l, organizationName: o, password: hidden-word}
- {type: VMware vCenter, name: vc, hostname: h, login: l, password: hidden-word}
"""


def test_accounts_of_every_type(hammr: Hammr, service: Service) -> None:
    (hammr.home / "certificate.json").write_text("{}")
    file = hammr.home / "accounts.yml"
    file.write_text(f"{ACCOUNTS}- {{type: Google Compute Engine, name: google, cert: {hammr.home}/certificate.json}}\n")
    hammr("account", "create", "--file", str(file))
    kept = service.http.get("/api/users/root/accounts").json()["credAccounts"]["credAccount"]
    assert len({one["targetPlatform"]["type"] for one in kept}) == 12
    assert names(hammr("account", "list").rows(), 1) == {one["name"] for one in kept}
    database = b"".join(path.read_bytes() for path in service.data.glob("forgelet.db*"))
    assert b"stack" in database
    assert b"hidden-word" not in database
    hammr("account", "delete", "--id", str(kept[-1]["dbId"]), "--no-confirm")
    assert {one["dbId"] for one in service.http.get("/api/users/root/accounts").json()["credAccounts"]["credAccount"]} == {one["dbId"] for one in kept[:-1]}


@pytest.fixture(scope="module")
def alice(service: Service) -> dict[str, str]:
    """Her keys."""
    assert service.http.post("/_forgelet/users", json={"login": "alice", "password": "wonder", "email": "a@example.org"}).status_code == 201
    made: dict[str, str] = service.http.post("/_forgelet/users/alice/keys").json()
    return made


def test_api_keys_sign_queries_too(anybody: Callable[..., Hammr], service: Service, alice: dict[str, str]) -> None:
    keys = ("-u", "alice", "-k", alice["publicKey"], "-s", alice["secretKey"])
    assert "a@example.org" in anybody(*keys)("user", "info").text
    assert "Found" in anybody(*keys, url=f"{service.origin}/api/")("os", "search", "--id", "2", "--pkg", "base-file*").text
    wrong = anybody("-u", "alice", "-k", alice["publicKey"], "-s", "wrong")("user", "info", status=2)
    assert "UForge Error '401'" in wrong.text
    assert service.http.get("/api/users/alice").status_code == 403


def test_a_supervisor_acts_as_somebody(anybody: Callable[..., Hammr], service: Service, alice: dict[str, str]) -> None:
    assert "a@example.org" in anybody("-u", "root\\alice", "-p", "forgelet")("user", "info").text
    assert "UForge Error '403'" in anybody("-u", "alice\\root", "-p", "wonder")("user", "info", status=2).text
    assert service.http.get("/api/status", auth=("alice\\root", "wonder")).status_code == 403


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    data = tmp_path / "data"
    with subprocess.Popen([*FORGELET, "serve", "--tls", "--port", "0", "--data", str(data)], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield process.stdout.readline().split()[2], data / "tls" / "certificate.pem"
        finally:
            process.terminate()
            process.wait(15)


def test_tls_with_and_without_a_look_at_the_certificate(anybody: Callable[..., Hammr], secure: tuple[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    url, certificate = secure
    until(certificate.is_file)

    def accounts() -> list[str]:
        told = httpx.get(f"{url}/users/root/accounts", auth=("root", "forgelet"), verify=ssl.create_default_context(cafile=certificate), trust_env=False)
        return [one["name"] for one in told.json()["credAccounts"]["credAccount"]]

    def create(home: Hammr, name: str, *words: str, **run: Any) -> Said:
        (home.home / "a.yml").write_text(f"accounts: [{{type: Docker, name: {name}, endpointUrl: 'http://d', login: l, password: p}}]\n")
        return home("account", "create", "--file", str(home.home / "a.yml"), *words, **run)

    create(anybody("-u", "root", "-p", "forgelet", url=url), "unseen")
    looks = anybody(url=url)
    file = looks.home / "credentials.yml"
    file.write_text(f"user: root\npassword: forgelet\nurl: {url}\nacceptAutoSigned: false\n")
    assert "Cannot reached the UForge server" in create(looks, "refused", "-c", str(file), status=2).text
    plain = looks.environment()
    monkeypatch.setattr(looks, "environment", lambda: {**plain, "REQUESTS_CA_BUNDLE": str(certificate)})
    create(looks, "seen", "-c", str(file))
    assert [name for name in accounts() if name != "local"] == ["unseen", "seen"]
