"""Recorded requests, sent to another service, and how its answers differ. What a client cannot know again is left out: times, mostly."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree

from cli.client import Client

VOLATILE = frozenset({"timestamp", "lastLogin", "downloadUri", "milliseconds", "seconds", "start", "secretKey", "publicKey"})
"""Fields that are never the same twice."""
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
GONE = "***"
SHOWN = 10
"""Differences of one answer that are told."""
PAUSE = 0.2


class Replay:
    """`there` is the other service, as each user who is known; `ignored` are fields that may differ."""

    def __init__(self, there: Mapping[str, Client], ignored: frozenset[str], patience: float) -> None:
        self._there, self._ignored, self._patience = there, ignored | VOLATILE, patience

    def run(self, entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """One result an entry, in order: `skipped` says why it was not sent, `differences` what is not the same."""
        return [self._one(entry) for entry in entries]

    def _one(self, entry: dict[str, Any]) -> dict[str, Any]:
        asked = entry["request"]
        place = urlsplit(asked["url"])
        user = str(entry.get("_forgelet", {}).get("user", ""))
        told: dict[str, Any] = {"method": asked["method"], "path": place.path, "user": user, "skipped": _why_not(entry) or self._unknown(user), "differences": []}
        if not told["skipped"]:
            told["differences"] = self._compare(entry, place.path + (f"?{place.query}" if place.query else ""), user)
        return told

    def _unknown(self, user: str) -> str:
        return f"it was '{user}' who asked: --as {user}:PASSWORD" if user and user not in self._there else ""

    def _compare(self, entry: dict[str, Any], path: str, user: str) -> list[str]:
        until = time.monotonic() + self._patience
        while True:
            found = list(self._differences(entry, path, user))
            if not found or entry["request"]["method"] != "GET" or time.monotonic() > until:
                return found[:SHOWN]
            time.sleep(PAUSE)

    def _differences(self, entry: dict[str, Any], path: str, user: str) -> Iterator[str]:
        asked, recorded = entry["request"], entry["response"]
        headers = {one["name"]: one["value"] for one in asked["headers"] if one["name"] in ("accept", "content-type")}
        content = asked.get("postData", {}).get("text", "").encode()
        # Whoever asked without a login, or with a wrong one, asks without one again.
        answer = (self._there.get(user) or next(iter(self._there.values()))).raw(asked["method"], path, headers, content, anonymous=not user)
        if answer.status_code != recorded["status"]:
            yield f"status {recorded['status']} was recorded, {answer.status_code} came back"
            return
        if entry.get("_forgelet", {}).get("answerWhole", True):
            yield from self._between(_read(recorded["content"].get("text", "")), _read(answer.text), "")

    def _between(self, before: Any, now: Any, where: str) -> Iterator[str]:
        if isinstance(before, dict) and isinstance(now, dict):
            for key in before.keys() | now.keys():
                if key not in self._ignored:
                    yield from self._between(before.get(key), now.get(key), f"{where}.{key}" if where else key)
        elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
            for number, (one, other) in enumerate(zip(before, now, strict=True)):
                yield from self._between(one, other, f"{where}[{number}]")
        elif before != now and before != GONE and not (_moment(before) and _moment(now)):
            yield f"{where or 'the answer'}: {_short(before)} was recorded, {_short(now)} came back"


def _why_not(entry: dict[str, Any]) -> str:
    ours = entry.get("_forgelet", {})
    if ours.get("redacted"):
        return "the journal keeps no secrets: " + ", ".join(ours["redacted"])
    if GONE in entry["request"]["url"]:
        return "the journal keeps no secrets: the key in its path or query"
    if entry["request"]["bodySize"] > 0 and not ours.get("whole", True):
        return "its body is not in the journal: too long, not readable, or no text"
    return ""


def _moment(value: Any) -> bool:
    return isinstance(value, str) and _MOMENT.match(value) is not None


def _short(value: Any) -> str:
    return json.dumps(value)[:80]


def _read(text: str) -> Any:
    """An answer as data: JSON, XML as nested lists of what it says, or the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        pass
    try:
        return _element(ElementTree.fromstring(text))
    except ElementTree.ParseError:
        return text


def _element(one: ElementTree.Element) -> Any:
    found: dict[str, Any] = {f"@{name}": value for name, value in one.attrib.items()}
    for child in one:
        found.setdefault(child.tag, []).append(_element(child))
    if not found:
        return one.text or ""
    return {**found, "text": one.text} if one.text and one.text.strip() else found
