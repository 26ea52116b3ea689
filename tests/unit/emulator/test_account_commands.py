"""`forgelet user`, `os`, `format`, `platform`, `quota` and `account` against the real application: what is stored is asked for by a second route."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli.client import Client
from cli.main import run

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def forgelet(drive: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    client = Client("http://testserver/api", "root", "forgelet", drive.http._transport)

    def command(*argv: str, stdin: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        code = run(list(argv), obj=client)
        told = capsys.readouterr()
        return code, told.out, told.err

    return command


def test_users_are_made_and_deleted(drive: Any, forgelet: Command) -> None:
    assert forgelet("user", "create", "alice", "--email", "a@example.org", stdin="secret\n")[0] == 0
    assert drive.http.get("/api/users/alice", auth=("alice", "secret")).json()["email"] == "a@example.org"
    assert "a@example.org" in forgelet("user", "list")[1]
    assert forgelet("user", "password", "alice", stdin="other\n")[0] == 0
    assert drive.http.get("/api/status", auth=("alice", "other")).status_code == 200
    assert forgelet("user", "create", "bob", stdin="")[0] == 1
    assert forgelet("user", "delete", "alice")[0] == 0
    assert drive.http.get("/api/status", auth=("alice", "other")).status_code == 401


def test_keys_are_shown_once_and_revoked(drive: Any, forgelet: Command) -> None:
    _, out, _ = forgelet("user", "key", "root")
    public = out.splitlines()[0].split()[-1]
    keys = drive.http.get("/_forgelet/users/root/keys").json()["keys"]["key"]
    assert [one["publicKey"] for one in keys] == [public]
    listed = forgelet("user", "key", "root", "--list")[1]
    assert public in listed
    assert out.splitlines()[1].split()[-1] not in listed
    assert forgelet("user", "key", "root", "--delete", str(keys[0]["dbId"]))[0] == 0
    assert drive.http.get("/_forgelet/users/root/keys").json()["keys"]["key"] == []


def test_quotas_are_set_and_listed(drive: Any, forgelet: Command) -> None:
    assert forgelet("user", "quota", "root", "--type", "diskusage", "--limit", str(3 << 20))[0] == 0
    assert "3.0 MiB" in forgelet("quota", "list")[1]
    assert {one["type"]: one["limit"] for one in drive.http.get("/api/users/root/quotas").json()["quotas"]["quota"]}["diskusage"] == 3 << 20
    assert forgelet("user", "quota", "root", "--type", "scan", "--limit", "0")[0] == 1


ACCOUNTS = """
accounts:
- {type: OpenStack, name: os, glanceUrl: "http://g", keystoneUrl: "http://k", keystoneVersion: 3, login: me, password: 1234}
- {type: VMware vCenter, name: vs, hostname: h, login: l, password: p, proxyHostname: proxy, proxyPort: 3128}
- {type: Outscale, name: out, accessKey: a, secretAccessKey: s}
"""


def test_accounts_of_a_file(drive: Any, forgelet: Command, tmp_path: Path) -> None:
    file = tmp_path / "accounts.yml"
    file.write_text(ACCOUNTS)
    code, _, err = forgelet("account", "create", "--file", str(file))
    assert code == 0, err
    kept = {one["name"]: one for one in drive.http.get("/api/users/root/accounts").json()["credAccounts"]["credAccount"]}
    assert kept["os"]["keystoneVersion"] == "3"
    assert (kept["vs"]["proxyHost"], str(kept["vs"]["proxyPort"])) == ("proxy", "3128")
    assert kept["out"]["secretsMissing"] is False
    assert "1234" not in forgelet("account", "list", "-o", "json")[1]
    assert forgelet("account", "delete", "--id", str(kept["os"]["dbId"]))[0] == 0
    assert {one["name"] for one in json.loads(forgelet("account", "list", "-o", "json")[1])["credAccounts"]["credAccount"]} == {"local", "vs", "out"}


def test_an_old_version_of_keystone_is_warned_of(drive: Any, forgelet: Command, tmp_path: Path) -> None:
    file = tmp_path / "a.yml"
    file.write_text("accounts: [{type: openstack, name: old, glanceUrl: 'http://g.example', keystoneUrl: 'http://k.example', keystoneVersion: v2.0, login: demo, password: secret}]\n")
    code, _, err = forgelet("account", "create", "--file", str(file))
    assert (code, "'old': Keystone has no v2 any more: v3 is used" in err) == (0, True)
    [kept] = [one for one in drive.http.get("/api/users/root/accounts").json()["credAccounts"]["credAccount"] if one["name"] == "old"]
    assert kept["keystoneVersion"] == "v2.0"


def test_an_account_in_a_builder_file_and_a_certificate(drive: Any, forgelet: Command, tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text("{}")
    file = tmp_path / "b.json"
    file.write_text(json.dumps({"builders": [{"type": "x", "account": {"type": "Google Compute Engine", "name": "g", "cert": "c.json"}}]}))
    assert forgelet("account", "create", "--file", str(file))[0] == 0
    kept = drive.http.get("/api/users/root/accounts").json()["credAccounts"]["credAccount"][-1]
    assert kept["certificates"]["certificate"][0]["name"] == "c.json"
    assert kept["secretsMissing"] is False


@pytest.mark.parametrize("text", ["", "[]", "accounts: []", "accounts: [{name: x}]", "accounts: [", "accounts: [{type: Nimbus, name: x}]", "builders: [{account: mine}]"])
def test_a_wrong_account_file(drive: Any, forgelet: Command, tmp_path: Path, text: str) -> None:
    file = tmp_path / "a.yml"
    file.write_text(text)
    code, _, err = forgelet("account", "create", "--file", str(file))
    assert code == 1
    assert "Traceback" not in err
    assert [one["name"] for one in drive.http.get("/api/users/root/accounts").json()["credAccounts"]["credAccount"]] == ["local"]


def test_the_catalogue(drive: Any, forgelet: Command) -> None:
    assert "Minimal, Server" in forgelet("os", "list")[1]
    assert "bookworm-nginx" in forgelet("os", "search", "--id", "2", "--pkg", "nginx")[1]
    assert "OpenStack QCOW2" in forgelet("format", "list")[1]
    assert "vclouddirector" in forgelet("platform", "list")[1]
    assert "| root  |" in forgelet("user", "info")[1]


def test_the_key_of_stored_secrets_is_changed(drive: Any, forgelet: Command, tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text(ACCOUNTS)
    assert forgelet("account", "create", "--file", str(tmp_path / "a.yml"))[0] == 0
    before = drive.service.folders.secrets_key.read_bytes()
    assert forgelet("account", "rotate-key")[1] == "OK: 3 secrets are encrypted with a new key; the old one is gone\n"
    assert drive.service.folders.secrets_key.read_bytes() != before
