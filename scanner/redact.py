"""Secrets: which files hold them, and how a scan leaves their contents at home."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Literal

from scanner.agent.tree import printable
from scanner.report import FileEntry, Kind, Redacted, Report, State
from scanner.scan import Chooser, Pick

_HOMES = r"(?:/root|/home/[^/]*)"
_SECRETS = (
    ("password hashes", r"/etc/g?shadow[^/]*|/var/backups/g?shadow[^/]*"),
    ("SSH host key", r"/etc/ssh/ssh_host_[^/]*_key"),
    ("private key", _HOMES + r"/\.ssh/id_[^/.]*|/etc/(?:ssl/private|pki/tls/private)/[^/]*|.*/[^/]*\.(?:key|pem|p12|pfx)"),
    ("token", _HOMES + r"/(?:\.netrc|\.pgpass|\.git-credentials|\.aws/credentials|\.docker/config\.json)"),
)
"""What a secret is called, and the paths that hold one."""
_PATTERNS = [(name, re.compile(pattern, re.DOTALL)) for name, pattern in _SECRETS]
_PUBLIC = ("/usr/share/", "/usr/lib/", "/etc/ssl/certs/", "/usr/local/share/ca-certificates/")
"""Certificates and what packages ship: known to everybody."""


def is_secret(path: str) -> str | None:
    """What kind of secret a file at `path` holds, by its name alone; None when it is none."""
    if path.startswith(_PUBLIC):
        return None
    return next((name for name, pattern in _PATTERNS if pattern.fullmatch(path)), None)


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
