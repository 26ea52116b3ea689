"""YAML files that people write: a mistake is told by its place and without its text; values are as they were written; secrets stay at home."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from builders import spec
from builders.errors import SpecError
from cli import clouds, login, migrationfile, packing
from cli.commands import build, deploy
from cli.commands.account import accounts_of, request_of
from cli.errors import CommandError
from cli.sendable import NAMING, sendable

BROKEN = ("password: @open-sesame", "password: %open-sesame", "password: *open-sesame", "password: 'open-sesame", "password: !open-sesame x", "password: open-sesame: x", 'password: "open-sesame\\q"', "password: !<open-sesame y")
READERS: dict[str, Any] = {
    "accounts": accounts_of,
    "credentials": login.credentials,
    "migration": lambda file: migrationfile.request_of(file.read_text(), file),
    "provisioner": lambda file: deploy.provisioner(file.read_text(), file),
    "template": lambda file: packing._read(file, file.read_text(), "template"),
    "stack": lambda file: build.named_template(None, file, file.read_text()),  # type: ignore[arg-type]
    "clouds": lambda file: clouds.account_of("lab"),
}


@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize("reader", READERS)
def test_a_mistake_is_told_by_its_place_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reader: str, broken: str) -> None:
    file = tmp_path / "a.yml"
    file.write_text(f"accounts:\n- type: OpenStack\n  {broken}\n  name: x\n")
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(file))
    with pytest.raises(CommandError) as caught:
        READERS[reader](file)
    said = "\n".join([caught.value.message, caught.value.hint, *caught.value.problems])
    assert "sesame" not in said
    assert "line " in said and ", column " in said


@pytest.mark.parametrize("broken", BROKEN)
def test_nor_does_the_service_tell_it(broken: str) -> None:
    with pytest.raises(SpecError) as caught:
        spec.parse(f"builders:\n- type: openstack\n  account:\n    {broken}\n", "b.yml")
    assert "sesame" not in "".join([caught.value.message, *caught.value.problems])


def test_an_account_files_values_are_as_they_were_written(tmp_path: Path) -> None:
    written = ("0123", "yes", "1e3", "2024-01-02", "2024-13-45", "1_000", "0x1F", "'quoted'", "12:30:45", "~x", "1.10")
    for value in written:
        (tmp_path / "a.yml").write_text(f"accounts:\n- {{type: OpenStack, name: o, keystoneVersion: 3.0, login: 007, password: {value}, proxyPort: 8080}}\n")
        [account] = accounts_of(tmp_path / "a.yml")
        asked = request_of(account, tmp_path)
        assert (asked["password"], asked["login"], asked["keystoneVersion"], asked["proxyPort"]) == (value.strip("'"), "007", "3.0", 8080)
    (tmp_path / "a.json").write_text(json.dumps({"accounts": [{"type": "OpenStack", "name": "o", "password": 123}]}))
    assert request_of(accounts_of(tmp_path / "a.json")[0], tmp_path)["password"] == "123"
    (tmp_path / "a.yml").write_text("shared: &it {type: OpenStack, password: yes}\naccounts: [{<<: *it, name: o, login: }]\n")
    assert accounts_of(tmp_path / "a.yml") == [{"type": "OpenStack", "password": "yes", "name": "o", "login": None}]


ACCOUNT = {"type": "OpenStack", "name": "cloud", "password": "sesame, {of}\nthe: cloud", "certificates": {"certificate": [{"content": "sesame"}]}, "login": 7}
FILE = {"builders": [{"type": "openstack", "account": ACCOUNT, "installation": {"diskSize": 1}}, {"type": "raw", "account": "local"}, {"type": "raw", "account": {"file": "a.yml"}}]}


@pytest.mark.parametrize("style", [None, '"', "'", "|", ">"])
@pytest.mark.parametrize("flow", [False, True])
@pytest.mark.parametrize("width", [20, 4000])
@pytest.mark.parametrize("sort", [True, False])
def test_what_opens_an_account_is_not_sent_and_every_line_stays_in_its_place(style: str, flow: bool, width: int, sort: bool) -> None:
    text = yaml.safe_dump(FILE, default_style=style, default_flow_style=flow, width=width, sort_keys=sort)  # type: ignore[call-overload]
    sent = sendable(text)
    assert "sesame" not in sent
    told = yaml.safe_load(sent)
    assert told["builders"][1:] == FILE["builders"][1:]
    assert {key: told["builders"][0]["account"][key] for key in ("type", "name")} == {"type": "OpenStack", "name": "cloud"}
    assert told["builders"][0]["installation"] == {"diskSize": 1}
    lines = [number for number, line in enumerate(text.splitlines()) if "diskSize" in line]
    assert lines == [number for number, line in enumerate(sent.splitlines()) if "diskSize" in line]


@given(st.text(max_size=30), st.sampled_from([None, 2]))
def test_in_json_as_well(secret: str, indent: int | None) -> None:
    text = json.dumps({"builders": [{"account": {"name": "n", "password": f"sesame{secret}"}, "x": 1}]}, indent=indent).replace("\n  ", "\n\t")
    assert json.loads(sendable(text)) == {"builders": [{"account": {"name": "n", "password": "***"}, "x": 1}]}


@pytest.mark.parametrize(
    "text",
    [
        "x: &it sesame\nbuilders: [{account: {name: c, password: *it}}]\n",
        "builders: [{account: {name: c, password: &it sesame}, imageName: x}, {account: {name: d, password: *it}}]\n",
        "builders: [{account: &it {name: c, password: sesame}}, {account: {<<: *it, name: d}}]\n",
    ],
)
def test_an_account_that_is_named_by_an_alias_has_none_either(text: str) -> None:
    for one in yaml.safe_load(sendable(text))["builders"]:
        assert set(one["account"].values()) <= {"c", "d", "***"}


@pytest.mark.parametrize("text", ["", "builders: [", "- a", "builders: 3", "builders:\n# mine\n- {type: openstack, account: {name: c}}\n"])
def test_what_has_no_secret_or_is_no_builder_file_is_sent_as_it_is(text: str) -> None:
    assert sendable(text) == text


def test_what_names_an_account_is_the_same_here_as_there() -> None:
    assert NAMING == spec.NAMING
