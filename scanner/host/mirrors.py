"""Where this machine gets Debian packages from: read from its own apt configuration, at run time.

No mirror is named in Forgelet; what the machine's administrator set for apt holds for the systems that are built here too.
Formats: sources.list(5), one-line style and deb822 style, and the `mirror+file:` lists of apt-transport-mirror(1).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from scanner.errors import Unreachable

ETC_APT = Path("/etc/apt")
ARCHIVE_SETTING = "FORGELET_DEBIAN_MIRROR"
SECURITY_SETTING = "FORGELET_DEBIAN_SECURITY_MIRROR"
RELEASES = frozenset(
    {"bullseye", "bookworm", "trixie", "forky", "sid", "oldoldstable", "oldstable", "stable", "testing", "unstable"}
)
"""Names of Debian releases: how an entry of apt is known to be Debian and not a third party's or a derivative's."""


@dataclass(frozen=True)
class Mirrors:
    """Base addresses (without the final slash) of a Debian archive and of its security archive ("" when there is none)."""

    archive: str
    security: str


@dataclass(frozen=True)
class Source:
    """One entry of apt: one address and one suite that it serves binary packages of."""

    uri: str
    suite: str


def debian_mirrors(etc_apt: Path = ETC_APT, environ: Mapping[str, str] = os.environ) -> Mirrors:
    """The mirrors that this machine's apt uses: the first address of a Debian release, and the first of its security suite.

    `FORGELET_DEBIAN_MIRROR` and `FORGELET_DEBIAN_SECURITY_MIRROR` each override what apt says.
    Raises `Unreachable` when neither apt nor a setting names an archive.
    """
    sources = list(apt_sources(etc_apt))
    archive = environ.get(ARCHIVE_SETTING) or _first(s for s in sources if s.suite in RELEASES)
    security = environ.get(SECURITY_SETTING) or _first(s for s in sources if _is_security(s.suite))
    if not archive:
        raise Unreachable(
            "apt on this machine names no Debian mirror",
            hint=f"add one to {etc_apt}/sources.list.d, or set {ARCHIVE_SETTING}",
        )
    return Mirrors(archive.rstrip("/"), security.rstrip("/"))


def apt_sources(etc_apt: Path = ETC_APT) -> Iterator[Source]:
    """Every enabled source of binary packages, in the order in which apt reads its files."""
    parts = etc_apt / "sources.list.d"
    for path in [etc_apt / "sources.list", *(sorted(parts.iterdir()) if parts.is_dir() else ())]:
        if not path.is_file():
            continue
        if path.suffix == ".list":
            yield from _one_line_sources(path)
        elif path.suffix == ".sources":
            yield from _deb822_sources(path)


def _is_security(suite: str) -> bool:
    release, _, kind = suite.partition("-" if "-" in suite else "/")
    return release in RELEASES and kind in ("security", "updates") and (kind == "security" or "/" in suite)


def _first(sources: Iterator[Source]) -> str:
    return next((source.uri for source in sources), "")


def _one_line_sources(path: Path) -> Iterator[Source]:
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        kind, _, rest = line.partition("#")[0].strip().partition(" ")
        if kind != "deb":
            continue
        rest = rest.strip()
        if rest.startswith("["):
            rest = rest.partition("]")[2]
        words = rest.split()
        if len(words) >= 2:
            yield from _expand(words[0], words[1])


def _deb822_sources(path: Path) -> Iterator[Source]:
    for stanza in _stanzas(path.read_text(encoding="utf-8", errors="replace")):
        if "deb" not in stanza.get("types", "").split() or stanza.get("enabled", "yes").lower() in ("no", "false"):
            continue
        for uri in stanza.get("uris", "").split():
            for suite in stanza.get("suites", "").split():
                yield from _expand(uri, suite)


def _stanzas(text: str) -> Iterator[dict[str, str]]:
    """The paragraphs of a deb822 file, keys in lower case; comments may stand inside a paragraph."""
    stanza: dict[str, str] = {}
    key = ""
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        if not line.strip():
            if stanza:
                yield stanza
            stanza, key = {}, ""
        elif line[0] in " \t" and key:
            stanza[key] += " " + line.strip()
        elif ":" in line:
            key, _, value = line.partition(":")
            key = key.strip().lower()
            stanza[key] = value.strip()
    if stanza:
        yield stanza


def _expand(uri: str, suite: str) -> Iterator[Source]:
    """One source for each address that can be fetched from: lists of mirrors are read, media are left out."""
    if uri.startswith("mirror+file:"):
        listed = Path(unquote(urlsplit(uri).path))
        lines = listed.read_text(encoding="utf-8").splitlines() if listed.is_file() else []
        uris = [words[0] for line in lines if (words := line.partition("#")[0].split())]
    else:
        uris = [uri]
    yield from (Source(one, suite) for one in uris if one.startswith(("http:", "https:", "file:")))
