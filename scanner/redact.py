"""Secrets: which files hold them, and how a scan leaves their contents at home."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Literal

from scanner.agent.secrets import suspected
from scanner.agent.tree import printable
from scanner.report import FileEntry, Kind, Redacted, Report, State
from scanner.scan import Chooser, Pick


def is_secret(path: str) -> str | None:
    """What kind of secret a file at `path` holds or may hold, by its name alone (`scanner/agent/secrets.py`); None when it is none."""
    return suspected(os.fsencode(path))


def secret_of(entry: FileEntry) -> str | None:
    """What kind of secret is in the contents of this path: as the scan marked it, else by its name."""
    if entry.type != Kind.FILE or entry.state in (State.EXCLUDED, State.MISSING):
        return None
    return entry.secret or is_secret(entry.path)


def redacting(choose: Chooser) -> Chooser:
    """`choose`, but the contents of secrets stay on the machine; the report's head then lists what a build must be given.

    A secret under another name stays as well: a second link to it, or a copy.
    """

    def chosen(report: Report) -> Pick:
        pick, secret = choose(report), _secrets(report.files())

        def kept_back(entry: FileEntry) -> Literal["overlay", "foreign"] | None:
            where = pick(entry)
            kind = secret(entry) if where else None
            if kind is not None:
                report.head.redacted.append(Redacted(path=printable(entry.raw), secret=kind))
                return None
            return where

        return kept_back

    return chosen


def _secrets(files: Iterable[FileEntry]) -> Callable[[FileEntry], str | None]:
    """Says of an entry which secret it holds, by itself or because it is (linked to, or a copy of) one that does."""
    contents: dict[str, str] = {}
    for entry in files:
        kind = secret_of(entry)
        if kind and entry.sha256 and entry.size:
            contents[entry.sha256] = kind

    def secret(entry: FileEntry) -> str | None:
        return secret_of(entry) or (contents.get(entry.sha256 or "") if entry.type == Kind.FILE and entry.state != State.MISSING else None)

    return secret
