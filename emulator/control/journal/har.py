"""The journal as HAR 1.2, which browsers and many tools read. What HAR has no place for is under `_forgelet`."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from emulator.control.journal.book import Entry
from emulator.version import version


def har(entries: list[Entry], origin: str) -> dict[str, Any]:
    """The requests among the entries; `origin` is where they were sent."""
    found = [_entry(one, origin) for one in entries if one["kind"] == "request"]
    return {"log": {"version": "1.2", "creator": {"name": "Forgelet", "version": version()}, "entries": found}}


def _entry(told: Entry, origin: str) -> dict[str, Any]:
    return {
        "startedDateTime": told["time"],
        "time": told["milliseconds"],
        "request": _request(told, origin),
        "response": _response(told),
        "cache": {},
        "timings": {"send": 0, "wait": told["milliseconds"], "receive": 0},
        "_forgelet": {key: told[key] for key in ("id", "user", "operation", "unread", "redacted")} | {"whole": told["request"].get("whole", False), "answerWhole": told["response"].get("whole", False)},
    }


def _request(told: Entry, origin: str) -> dict[str, Any]:
    asked = told["request"]
    found = {
        "method": told["method"],
        "url": f"{origin}{told['path']}{'?' if told['query'] else ''}{told['query']}",
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": _pairs(told["headers"].items()),
        "queryString": _pairs(parse_qsl(told["query"], keep_blank_values=True)),
        "headersSize": -1,
        "bodySize": asked["size"],
    }
    if asked["size"]:
        found["postData"] = {"mimeType": asked["contentType"], "text": asked.get("body", ""), **_comment(asked)}
    return found


def _response(told: Entry) -> dict[str, Any]:
    answered = told["response"]
    return {
        "status": told["status"],
        "statusText": told["phrase"],
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": _pairs([("content-type", answered["contentType"])]),
        "content": {"size": answered["size"], "mimeType": answered["contentType"], "text": answered.get("body", ""), **_comment(answered)},
        "redirectURL": "",
        "headersSize": -1,
        "bodySize": answered["size"],
    }


def _pairs(items: Any) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in items]


def _comment(body: dict[str, Any]) -> dict[str, str]:
    return {"comment": f"not kept: {body['omitted']}"} if "omitted" in body else {}
