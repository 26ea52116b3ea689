"""Downloads: what broke off goes on where it was, what is not what the service has is not kept."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support.listening import Silent, listening

from cli.client import Client
from cli.errors import FAILED, UNREACHABLE, CommandError

CONTENT = os.urandom(3 << 20)
HALF = len(CONTENT) // 2


@dataclass
class Server:
    """Sends `content`; `cut`: the connection ends after so many bytes of the next answer."""

    url: str = ""
    content: bytes = CONTENT
    told: bytes | None = None
    """What the digest is of, when it is not the contents'."""
    cut: int | None = None
    asked: list[tuple[str | None, str | None]] = field(default_factory=list)
    """`Range` and `If-Range` of each request."""

    @property
    def tag(self) -> str:
        return f'"{hashlib.sha256(self.content).hexdigest()}"'


@pytest.fixture
def server() -> Iterator[Server]:
    here = Server()

    class Handler(Silent):
        def do_GET(self) -> None:
            wanted, tag = self.headers.get("Range"), self.headers.get("If-Range")
            here.asked.append((wanted, tag))
            start = int(wanted[6:-1]) if wanted and tag == here.tag else 0
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(here.content) - 1}/{len(here.content)}")
            self.send_header("ETag", here.tag)
            digest = hashlib.sha512(here.told if here.told is not None else here.content).digest()
            self.send_header("Repr-Digest", f"sha-512=:{base64.b64encode(digest).decode()}:")
            rest = here.content[start:]
            self.send_header("Content-Length", str(len(rest)))
            self.end_headers()
            self.wfile.write(rest if here.cut is None else rest[: here.cut])
            here.cut = None

    with listening(Handler) as origin:
        here.url = f"{origin}/api"
        yield here


def fetch(server: Server, into: Path) -> list[tuple[int, int]]:
    return list(Client(server.url, "root", "x").download("images/1/download", into))


def broken_off(server: Server, into: Path) -> None:
    server.cut = HALF
    with pytest.raises(CommandError) as caught:
        fetch(server, into)
    assert (caught.value.exit_code, caught.value.hint) == (UNREACHABLE, "the same command goes on from there")
    assert f"broke off after {HALF} of {len(CONTENT)} bytes" in caught.value.message
    assert not into.exists()


def test_what_broke_off_goes_on_where_it_was(server: Server, tmp_path: Path) -> None:
    into = tmp_path / "disk"
    broken_off(server, into)
    told = fetch(server, into)
    assert server.asked == [(None, None), (f"bytes={HALF - 1}-", server.tag)]
    assert told[-1] == (len(CONTENT), len(CONTENT)) and told[0][0] > HALF
    assert into.read_bytes() == CONTENT
    assert [one.name for one in tmp_path.iterdir()] == ["disk"]


def test_one_that_was_whole_but_had_not_its_name_yet_needs_one_byte(server: Server, tmp_path: Path) -> None:
    (tmp_path / "disk.partial").write_bytes(CONTENT)
    (tmp_path / "disk.partial.tag").write_text(server.tag)
    fetch(server, tmp_path / "disk")
    assert server.asked == [(f"bytes={len(CONTENT) - 1}-", server.tag)]
    assert (tmp_path / "disk").read_bytes() == CONTENT


def test_another_file_is_not_put_behind_a_part(server: Server, tmp_path: Path) -> None:
    into = tmp_path / "disk"
    broken_off(server, into)
    server.content = b"short"
    assert fetch(server, into)[-1] == (5, 5)
    assert into.read_bytes() == b"short"
    assert [one.name for one in tmp_path.iterdir()] == ["disk"]


def test_a_part_of_which_nobody_knows_whose_it_is_is_not_gone_on_with(server: Server, tmp_path: Path) -> None:
    (tmp_path / "disk.partial").write_bytes(b"of an older client")
    fetch(server, tmp_path / "disk")
    assert server.asked == [(None, None)]
    assert (tmp_path / "disk").read_bytes() == CONTENT


@pytest.mark.parametrize("cut", [False, True])
def test_wrong_bytes_are_refused_and_not_kept(server: Server, tmp_path: Path, cut: bool) -> None:
    into = tmp_path / "disk"
    if cut:
        broken_off(server, into)
        (tmp_path / "disk.partial").write_bytes(bytes(HALF))
    else:
        server.told = b"else"
    with pytest.raises(CommandError) as caught:
        fetch(server, into)
    assert caught.value.exit_code == FAILED and "nothing was kept" in caught.value.message
    assert list(tmp_path.iterdir()) == []
