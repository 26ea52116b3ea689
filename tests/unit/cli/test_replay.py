"""A replay: who asks there, and what counts as a difference."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from cli.client import Client
from cli.replay import Replay


def entry(user: str, text: str = "{}", kind: str = "application/json") -> dict[str, Any]:
    asked = {"method": "GET", "url": "http://here/api/x", "headers": [], "bodySize": 0}
    return {"request": asked, "response": {"status": 200, "content": {"text": text, "mimeType": kind}}, "_forgelet": {"user": user, "answerWhole": True}}


def there(asked: list[str | None], answer: str = "{}") -> dict[str, Client]:
    def handle(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers.get("authorization"))
        return httpx.Response(200, text=answer)

    return {login: Client("http://there/api", login, "secret", httpx.MockTransport(handle)) for login in ("root", "alice")}


def test_each_request_is_sent_as_who_asked_or_named() -> None:
    asked: list[str | None] = []
    results = Replay(there(asked), frozenset(), 0).run([entry("root"), entry("alice"), entry(""), entry("bob")])
    assert [one["skipped"] for one in results] == ["", "", "", "it was 'bob' who asked: --as bob:PASSWORD"]
    assert len(asked) == 3 and len(set(asked)) == 3 and asked[2] is None
    assert all(one["differences"] == [] for one in results)


@pytest.mark.parametrize(
    ("before", "now", "different"),
    [
        ('<a type="x"><b/></a>', '<a type="y"><b/></a>', ['@type: "x" was recorded, "y" came back']),
        ('<a><b type="x">1</b></a>', '<a><b type="x">2</b></a>', ['b[0].text: "1" was recorded, "2" came back']),
        ('<a type="x">1</a>', '<a type="x">1</a>', []),
        ("<a>1</a>", '<a type="x">1</a>', ['the answer: "1" was recorded, {"@type": "x", "text": "1"} came back']),
    ],
)
def test_attributes_of_xml_count(before: str, now: str, different: list[str]) -> None:
    (told,) = Replay(there([], now), frozenset(), 0).run([entry("root", before)])
    assert told["differences"] == different


def test_who_is_named_needs_a_password(forgelet: Any) -> None:
    assert "give LOGIN:PASSWORD" in forgelet("journal", "replay", "--against", "http://127.0.0.1:1/api", "--as", "alice", "--har", "/dev/null").err
