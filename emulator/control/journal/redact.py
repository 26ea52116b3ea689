"""What the journal must not keep: passwords, keys and signatures, in headers, queries and bodies. `documents.py` looks into the bodies."""

from __future__ import annotations

import base64
from typing import NamedTuple
from urllib.parse import parse_qsl, urlencode

from emulator.control.journal.documents import GONE, Cleaner, path, secret, shape

__all__ = ["GONE", "Kept", "authorization", "body", "path", "query"]

FORM = "application/x-www-form-urlencoded"


class Kept(NamedTuple):
    """A body as it may be kept."""

    text: str
    """Without secrets; empty when nothing may be kept."""
    gone: list[str]
    """Under which names there were secrets."""
    omitted: str = ""
    """Why nothing is kept."""


def query(text: str) -> str:
    """A query without the values that sign it."""
    pairs = parse_qsl(text, keep_blank_values=True)
    return urlencode([(name, GONE if secret(name) else value) for name, value in pairs], safe="*'=/")


def authorization(header: str) -> str:
    """`Basic root:***`"""
    scheme, _, rest = header.partition(" ")
    try:
        login = base64.b64decode(rest, validate=True).decode("utf-8").partition(":")[0] if scheme.lower() == "basic" else ""
    except ValueError:
        login = ""
    return f"{scheme} {login}:{GONE}" if scheme else ""


def body(text: str, media: str) -> Kept:
    """The text, all of it, without secrets. What might have some and cannot be read as data is not kept."""
    if media.startswith(FORM):
        return Kept(query(text), sorted({name for name, _ in parse_qsl(text) if secret(name)}))
    if not shape(text):
        return Kept(path(text), [])
    cleaner = Cleaner()
    clean = cleaner.document(text)
    if clean is None:
        return Kept("", [], "it cannot be read, so nobody knows what of it is secret")
    return Kept(clean, sorted(cleaner.gone))
