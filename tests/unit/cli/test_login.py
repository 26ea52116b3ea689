"""Who asks: options, API keys, credentials files of hammr's; and how `forgelet hammr` writes one."""

from __future__ import annotations

import stat
from pathlib import Path
from urllib.parse import unquote_to_bytes

import httpx
import pytest
import yaml

from cli.client import Client
from cli.errors import CommandError
from cli.login import Connection, asked, credentials
from cli.main import run


def test_a_target_is_signed_as_hammr_signs_it() -> None:
    """The text and its signature as PROTOCOL 1.3 has them."""
    seen: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={})

    service = Client("http://h:1/api/", "alice", "", httpx.MockTransport(handle), keys=("PUBKEY", "secret"))
    service.get("")
    service.get("appliances", query="name=='a b'")
    service.control("GET", "jobs/1")
    plain, query, ours = (request.url.raw_path for request in seen)
    text, _, signature = plain.rpartition(b"&signature=")
    assert text == b"/api/users/alice?apiKey=PUBKEY"
    # printf users/alice?apiKey=PUBKEY | openssl dgst -sha1 -hmac secret -binary | base64
    assert unquote_to_bytes(signature) == b"bWaCHVxG2fllBZhd7fgPWvyGB0s="
    assert query.rpartition(b"&signature=")[0].endswith(b"%27a%20b%27&apiKey=PUBKEY") or b"a+b" in query
    assert ours.startswith(b"/_forgelet/jobs/1?apiKey=PUBKEY&signature=")
    assert not any("authorization" in request.headers for request in seen)



@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("c.txt", "", "neither"),
        ("c.yml", "[", "cannot be read"),
        ("c.yml", "- a", "no mapping"),
        ("c.yml", "user: a\nurl: b\nsecret: c\n", "secret: unknown key"),
        ("c.json", '{"user": "a"}', "url: is missing"),
    ],
)
def test_a_wrong_credentials_file_is_told(tmp_path: Path, name: str, text: str, said: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(CommandError) as caught:
        credentials(tmp_path / name)
    assert said in "\n".join([caught.value.message, *caught.value.problems])


def test_a_credentials_file_says_it_all_and_options_win(tmp_path: Path) -> None:
    file = tmp_path / "c.yml"
    file.write_text("user: alice\npublickey: p\nsecretkey: s\nurl: http://u/api\nacceptAutoSigned: true\n")
    found = asked(Connection(user="bob", credentials=file))
    assert found == {"user": "bob", "publickey": "p", "secretkey": "s", "url": "http://u/api", "insecure": True}
    assert asked(Connection(password="p")) == {"password": "p", "publickey": "", "secretkey": ""}


def test_what_forgelet_writes_hammr_s_file_says_and_is_for_its_owner_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "new" / "credentials.yml"
    words = ["hammr", "--write", "--to", str(file), "-a", "https://h:1/api", "-u", "alice", "-p", "12345"]
    assert run(words) == 0
    assert yaml.safe_load(file.read_text()) == {"url": "https://h:1/api", "user": "alice", "password": "12345", "acceptAutoSigned": True}
    assert (stat.S_IMODE(file.stat().st_mode), stat.S_IMODE(file.parent.stat().st_mode)) == (0o600, 0o700)
    assert "12345" not in capsys.readouterr().out
    assert run(words) == 1
    assert "already" in capsys.readouterr().err
    assert run(["hammr", "--write", "--to", str(file), "--force", "-k", "pub", "-s", "sec", "--ca", "c.pem"]) == 0
    told = yaml.safe_load(file.read_text())
    assert (told["publickey"], told["secretkey"], told["acceptAutoSigned"], "password" in told) == ("pub", "sec", False, False)
    assert [path.name for path in file.parent.iterdir()] == ["credentials.yml"]


@pytest.mark.parametrize(("words", "said"), [(["-a", "http://h:1"], "http://h:1/api"), (["--to", "c.txt"], "--to FILE.yml")])
def test_what_hammr_could_not_use_is_not_written(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: list[str], said: str) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert run(["hammr", "--write", *words]) == 1
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_how_to_get_hammr_is_told_without_a_service_and_without_passwords(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["hammr", "-p", "hidden-word"]) == 0
    told = capsys.readouterr().out
    assert "hammr==3.8.13" in told and "KexAlgorithms +diffie-hellman-group-exchange-sha1" in told and "forgelet lab hammr-image" in told
    assert "hidden-word" not in told
