"""What the journal must not keep: passwords, keys and signatures, in headers, queries, JSON, XML and YAML."""

from __future__ import annotations

import base64
import json
import re
from typing import Any
from urllib.parse import parse_qsl, urlencode

from emulator.wire.answer import dumps

GONE = "***"
_WORDS = ("password", "passwd", "passphrase", "secret", "token", "signature", "private", "identity", "userdata", "accesskey", "apikey", "publickey")
_WORD = rf"(?:{'|'.join(_WORDS)})"
_KEY = re.compile(_WORD, re.IGNORECASE)
_XML = re.compile(rf"(<(?:\w+:)?(\w*{_WORD}\w*)(?:\s[^>]*)?>)([^<]+)(</)", re.IGNORECASE)
_YAML = re.compile(rf"(?m)^(\s*(?:-\s+)?[\"']?\w*{_WORD}\w*[\"']?\s*:\s*)(\S.*)$", re.IGNORECASE)
_FLOW = re.compile(rf"([{{,]\s*[\"']?\w*{_WORD}\w*[\"']?\s*:\s*)([^,}}\n]+)", re.IGNORECASE)
_CONTENT = re.compile(r"(<content>)([^<]+)(</content>)")
_CAPABILITY = re.compile(r"(/+downloads/+\d+/+)[^/\"<>\s?]+")


def path(text: str) -> str:
    """A request's path; the key of a download is as good as a login."""
    return _CAPABILITY.sub(rf"\1{GONE}", text)


def query(text: str) -> str:
    """A query without the values that sign it."""
    pairs = parse_qsl(text, keep_blank_values=True)
    return urlencode([(name, GONE if _KEY.search(name) else value) for name, value in pairs], safe="*'=/")


def authorization(header: str) -> str:
    """`Basic root:***`"""
    scheme, _, rest = header.partition(" ")
    try:
        login = base64.b64decode(rest, validate=True).decode("utf-8").partition(":")[0] if scheme.lower() == "basic" else ""
    except ValueError:
        login = ""
    return f"{scheme} {login}:{GONE}" if scheme else ""


def body(text: str, media: str) -> tuple[str, list[str]]:
    """The text without secrets, and under which names they were."""
    gone: list[str] = []
    text = path(text)
    if text[:1] in ("{", "["):
        try:
            return dumps(_cleaned(json.loads(text), gone)), sorted(set(gone))
        except (ValueError, RecursionError):
            pass
    clean, said = text, text.lower()
    # What polls get is long and has no secrets: a look for the words costs a quarter of the pattern.
    if any(word in said for word in _WORDS):
        clean = _XML.sub(lambda found: gone.append(found[2]) or f"{found[1]}{GONE}{found[4]}", text)  # type: ignore[func-returns-value]
    if "certificate" in said:
        clean = _CONTENT.sub(lambda found: gone.append("content") or f"{found[1]}{GONE}{found[3]}", clean)  # type: ignore[func-returns-value]
    if "xml" not in media:
        clean = _written_out(clean, gone)
    return clean, sorted(set(gone))


def _cleaned(value: Any, gone: list[str], name: str = "") -> Any:
    if isinstance(value, dict):
        return {key: _cleaned(one, gone, key) for key, one in value.items()}
    if isinstance(value, list):
        return [_cleaned(one, gone, name) for one in value]
    if isinstance(value, str) and value and (_KEY.search(name) or name in ("content", "downloadUri")):
        gone.append(name)
        return GONE
    return _written_out(value, gone) if isinstance(value, str) and ":" in value else value


def _written_out(text: str, gone: list[str]) -> str:
    """Secrets of a YAML file that travels as a text."""

    def cut(found: re.Match[str]) -> str:
        gone.append("text")
        return f"{found[1]}{GONE}"

    return _FLOW.sub(cut, _YAML.sub(cut, text))
