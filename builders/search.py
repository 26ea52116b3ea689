"""Packages of a release by name, from the real repositories' indexes."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

from builders.archive import Archive, parse_stanzas
from builders.errors import BuildFailed
from scanner.errors import UserError

MOST = 5000
"""Packages that one search may find."""
_LOCK = threading.Lock()


@dataclass(frozen=True, slots=True)
class Offered:
    """One package at one version that a repository offers."""

    name: str
    version: str
    arch: str
    size: int
    """Bytes of the `.deb`."""
    sha256: str
    section: str
    indexed: datetime
    """When the index that has it was made; the index does not say when the package was."""


def search(codename: str, arch: str, pattern: str, cache: Path) -> list[Offered]:
    """Packages whose name is `pattern`, in which `*` is any characters; by name, newest index last.

    Raises `UserError` for a pattern that is too wide or none, `BuildFailed` when the repositories are out of reach.
    """
    if not re.fullmatch(r"[A-Za-z0-9.+*-]{1,100}", pattern):
        raise UserError(f"'{pattern[:100]}' is no name of packages", hint="letters, digits and . + - only, and * for any characters")
    archive = Archive(codename, arch, cache)
    with _LOCK:
        archive.refresh()
    found: dict[tuple[str, str, str], Offered] = {}
    wanted = re.compile(rb"^Package: " + b"[^\n]*".join(re.escape(part).encode() for part in pattern.lower().split("*")) + rb"$", re.MULTILINE)
    for index in sorted((archive.folder / "lists").glob("*_Packages")):
        for one in _in_index(index, wanted):
            found[one.name, one.version, one.arch] = one
            if len(found) > MOST:
                raise UserError(f"more than {MOST} packages are called '{pattern}'", hint="ask for fewer: name==nginx*")
    return sorted(found.values(), key=lambda one: (one.name, one.indexed, one.version))


def _in_index(index: Path, wanted: re.Pattern[bytes]) -> Iterator[Offered]:
    made = _made(index)
    text = index.read_bytes()
    for match in wanted.finditer(text):
        end = text.find(b"\n\n", match.start())
        stanza = text[match.start() : end if end >= 0 else len(text)].decode(errors="replace")
        for fields in parse_stanzas(stanza):
            size = fields.get("Size", "")
            yield Offered(
                name=fields["Package"],
                version=fields.get("Version", ""),
                arch=fields.get("Architecture", ""),
                size=int(size) if size.isdigit() else 0,
                sha256=fields.get("SHA256", ""),
                section=fields.get("Section", ""),
                indexed=made,
            )


def _made(index: Path) -> datetime:
    """The `Date` of the Release file that signs the index (both are named after their address: apt's Dir::State::lists)."""
    suite = re.match(r"(.*_dists_[^_]+(?:_updates)?)_", index.name)
    for name in ("InRelease", "Release"):
        path = index.with_name(f"{suite[1] if suite else ''}_{name}")
        if path.is_file():
            date = re.search(r"^Date: (.+)$", path.read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
            if date:
                return parsedate_to_datetime(date[1])
    raise BuildFailed(f"the index {index.name} has no Release file", hint="run the search again; the lists are fetched anew after an hour")
