"""The package archive of one release: what it offers, what an installation needs, and the packages themselves.

A private apt (its own lists, an empty dpkg status, the host's proxy settings and keyring) answers for a release that this machine
does not run. Everything that it downloads is checked against the signed index by apt and kept in one pool.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cmp_to_key
from pathlib import Path

from builders.cache import touch
from builders.errors import BuildFailed, NotCached, Unresolved
from scanner.errors import CommandFailed
from scanner.host.locks import held
from scanner.host.mirrors import debian_mirrors
from scanner.host.run import run
from scanner.host.whole import write_whole

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
PRIORITIES = ("required", "important", "standard")
"""Debian policy 2.5, the highest first."""

FRESH = 3600.0
"""Seconds for which downloaded lists are good enough."""

_INST = re.compile(r"^Inst (\S+) (?:\[[^]]*\] )?\((\S+) .*\[(\w+)\]\)")


@dataclass(frozen=True, slots=True, order=True)
class PackageId:
    """One package at one version."""

    name: str
    arch: str
    version: str

    @property
    def apt(self) -> str:
        """`name:arch=version`, as apt wants it."""
        name = self.name if self.arch == "all" else f"{self.name}:{self.arch}"
        return f"{name}={self.version}"


class Archive:
    """The Debian archive for one release and architecture; lists, downloads and locks live below `cache`.

    One that is `offline` fetches nothing: what the cache lacks is an error (`NotCached`).
    """

    def __init__(self, codename: str, arch: str, cache: Path, components: Iterable[str] = ("main",), *, offline: bool = False) -> None:
        self.codename = codename
        self.arch = arch
        self.components = tuple(components)
        self.offline = offline
        self.folder = cache / "archive" / f"{codename}-{arch}-{'+'.join(self.components)}"
        self.pool = cache / "pool"
        for folder in (self.folder / "none", self.folder / "lists" / "partial", self.pool / "partial"):
            folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "status").touch()

    def sources(self) -> str:
        """The sources.list of this archive, from this machine's own mirrors."""
        mirrors = debian_mirrors()
        parts = " ".join(self.components)
        lines = [
            f"deb [signed-by={KEYRING}] {mirrors.archive} {self.codename} {parts}",
            f"deb [signed-by={KEYRING}] {mirrors.archive} {self.codename}-updates {parts}",
            f"deb [signed-by={KEYRING}] {mirrors.security} {self.codename}-security {parts}",
        ]
        return "\n".join(lines) + "\n"

    def refresh(self, *, force: bool = False) -> None:
        """Bring the lists up to date unless they are younger than `FRESH`. Raises `BuildFailed`, `NotCached`."""
        stamp, listing = self.folder / "refreshed", self.folder / "sources.list"
        if self.offline:
            if not (stamp.exists() and listing.exists()):
                raise NotCached(
                    f"the package lists of {self.codename} ({' '.join(self.components)}) are not in the cache, and nothing may be fetched",
                    hint="build once without --offline",
                )
            return
        wanted = self.sources()
        # Two builds at once: the second finds what the first has fetched.
        with held(self.folder / "lists.lock"):
            same = listing.exists() and listing.read_text() == wanted
            if same and not force and stamp.exists() and time.time() - stamp.stat().st_mtime < FRESH:
                return
            listing.write_text(wanted)
            try:
                self._apt("apt-get", "update")
            except CommandFailed as error:
                raise BuildFailed(
                    f"the package lists of {self.codename} could not be fetched: {error.stderr.strip()[-300:]}",
                    hint="check the mirrors in this machine's apt configuration, or set FORGELET_DEBIAN_MIRROR; what was built before can be built again with --offline",
                ) from error
            stamp.touch()

    def offers(self) -> set[PackageId]:
        """Every package of the lists."""
        indexes = sorted((self.folder / "lists").glob("*_Packages"))
        state = hashlib.sha256(repr([(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in indexes]).encode()).hexdigest()
        known = self.folder / "offers"
        said = known.read_text(encoding="utf-8").split("\n") if known.exists() else [""]
        if said[0] == state:
            return {PackageId(*line.split(" ")) for line in said[1:]}
        found = {one for path in indexes for one in _stanza_ids(path)}
        # The indexes are large and hardly ever other ones: what they offer is written down.
        write_whole(known, "\n".join([state, *(f"{one.name} {one.arch} {one.version}" for one in sorted(found))]))
        return found

    def standard(self, priority: str) -> list[str]:
        """Names of the packages that every machine of the release has: the essential ones, and those of at least that priority."""
        chosen = PRIORITIES[: PRIORITIES.index(priority) + 1]
        found: set[str] = set()
        for path in (self.folder / "lists").glob("*_Packages"):
            for fields in parse_stanzas(path.read_text(encoding="utf-8", errors="replace")):
                if fields.get("Essential") == "yes" or fields.get("Priority") in chosen:
                    found.add(fields["Package"])
        return sorted(found)

    def resolve(self, wanted: Iterable[PackageId], extra: Iterable[str], status: Path | None = None) -> list[PackageId]:
        """What installing exactly `wanted` and the packages named in `extra` brings in all, recommendations left out.

        `status`: a dpkg status file of what is there already, and stays as it is (see `write_status`); nothing unless given.
        Raises `Unresolved` when the archive cannot satisfy it, in apt's own words.
        """
        # "--": names come from a scanned machine and are never options.
        names = [one.apt for one in wanted] + list(extra)
        try:
            said = self._apt("apt-get", "-s", "install", "--no-install-recommends", "--allow-downgrades", "--", *names, status=status) if names else ""
        except CommandFailed as error:
            raise Unresolved(f"the packages cannot be installed together:\n{error.stderr.strip()[-2000:]}") from error
        rows = (_INST.match(line) for line in said.splitlines())
        return sorted({PackageId(m[1].partition(":")[0], m[3], m[2]) for m in rows if m})

    def stanzas(self, packages: Iterable[PackageId]) -> dict[PackageId, dict[str, str]]:
        """The index entry of each package, fields by name (`Depends`, `SHA256`, `Filename`, …)."""
        said = self._apt("apt-cache", "show", "--", *(one.apt for one in packages))
        found = {}
        for fields in parse_stanzas(said):
            found[PackageId(fields["Package"], fields["Architecture"], fields["Version"])] = fields
        return found

    def lacking(self, packages: Iterable[PackageId], stanzas: Mapping[PackageId, Mapping[str, str]]) -> list[PackageId]:
        """Those that the pool does not have whole, by the sizes in their index entries (`stanzas`)."""
        found = []
        for one in packages:
            place = self.pool / pool_name(one)
            if not place.exists() or place.stat().st_size != int(stanzas[one]["Size"]):
                found.append(one)
        return found

    def fetch(self, packages: Iterable[PackageId], status: Path | None = None) -> None:
        """Download what the pool lacks; apt checks each file against the signed index. `status` as of `resolve`. Raises `BuildFailed`."""
        names = [one.apt for one in packages]
        try:
            self._apt("apt-get", "install", "--download-only", "-y", "--no-install-recommends", "--allow-downgrades", "--", *names, status=status)
        except CommandFailed as error:
            raise BuildFailed(
                f"packages could not be downloaded: {error.stderr.strip()[-800:]}",
                hint="check that the mirror of this machine's apt configuration answers, then build again: what was downloaded is kept",
            ) from error

    def release_digest(self) -> str:
        """sha256 over the signed indexes: changes when the archive does."""
        whole = hashlib.sha256()
        for path in sorted((self.folder / "lists").glob("*InRelease")):
            whole.update(path.read_bytes())
        return whole.hexdigest()

    def _apt(self, *argv: str, status: Path | None = None) -> str:
        options = {
            "Dir::Etc::sourcelist": self.folder / "sources.list",
            "Dir::Etc::sourceparts": self.folder / "none",
            "Dir::Etc::preferences": self.folder / "none" / "preferences",
            "Dir::Etc::preferencesparts": self.folder / "none",
            "Dir::State": self.folder,
            "Dir::State::status": status or self.folder / "status",
            "Dir::State::lists": self.folder / "lists",
            "Dir::State::extended_states": self.folder / "extended_states",
            "Dir::Cache": self.folder,
            "Dir::Cache::archives": self.pool,
            "APT::Architecture": self.arch,
            "APT::Architectures": self.arch,
            "APT::Sandbox::User": "root",
            "APT::Install-Recommends": "false",
            "APT::Get::List-Cleanup": "true",
            # Else apt takes old lists for new ones when a mirror does not answer, and says so in a warning alone (apt-get(8), --error-on).
            "APT::Update::Error-Mode": "any",
            "Acquire::GzipIndexes": "false",
            "Acquire::Languages": "none",
            "Acquire::Retries": "3",
            "APT::Keep-Downloaded-Packages": "true",
            "Debug::NoLocking": "true",
        }
        flags = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
        return run([argv[0], *flags, *argv[1:]], env={"DEBIAN_FRONTEND": "noninteractive"}).stdout.decode(errors="replace")


def nearest(package: PackageId, offered: Iterable[PackageId]) -> str:
    """The version of the package that is the nearest to its own: the lowest newer one, else the highest older one; "" when there is none."""
    versions = {one.version for one in offered if one.name == package.name and one.arch in (package.arch, "all")}
    ordered = sorted(versions, key=cmp_to_key(compare_versions))
    newer = [version for version in ordered if compare_versions(version, package.version) > 0]
    return newer[0] if newer else ordered[-1] if ordered else ""


def compare_versions(left: str, right: str) -> int:
    """Below, at or above 0, as dpkg orders versions (deb-version(7))."""
    for relation, answer in (("lt", -1), ("gt", 1)):
        if run(["dpkg", "--compare-versions", left, relation, right], check=False).returncode == 0:
            return answer
    return 0


def write_status(entries: Iterable[Mapping[str, str]], path: Path) -> Path:
    """A dpkg status file in which each package is installed and held: apt leaves it as it is."""
    path.write_text("".join(write_stanza({**one, "Status": "hold ok installed"}) for one in entries), errors="surrogateescape")
    return path


def kept_status(entries: Iterable[Mapping[str, str]], cache: Path) -> Path:
    """As `write_status`, among the cache's resolutions and under its digest: whoever is killed leaves nothing that is not bounded there."""
    said = "".join(write_stanza({**one, "Status": "hold ok installed"}) for one in entries).encode(errors="surrogateescape")
    place = cache / "resolved" / f"{hashlib.sha256(said).hexdigest()[:32]}.status"
    place.parent.mkdir(parents=True, exist_ok=True)
    if not place.exists():
        write_whole(place, said)
    touch(place)
    return place


def pool_name(package: PackageId) -> str:
    """The file name apt gives a package in its archive folder (`:` of an epoch is written `%3a`)."""
    return f"{package.name}_{package.version.replace(':', '%3a')}_{package.arch}.deb"


def parse_stanzas(text: str) -> Iterator[dict[str, str]]:
    """The paragraphs of a control file (deb-control(5)); continuation lines keep their line breaks."""
    fields: dict[str, str] = {}
    last = ""
    for line in text.split("\n"):
        if not line.strip():
            if fields:
                yield fields
            fields = {}
        elif line[0] in " \t":
            fields[last] += "\n" + line
        else:
            last, _, value = line.partition(":")
            fields[last] = value.strip()
    if fields:
        yield fields


def write_stanza(fields: Mapping[str, str]) -> str:
    """A paragraph with its empty line."""
    return "".join(f"{key}:{'' if value.startswith(chr(10)) else ' '}{value}\n" for key, value in fields.items()) + "\n"


def _stanza_ids(path: Path) -> Iterator[PackageId]:
    name = arch = version = ""
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if line.startswith("Package: "):
                name = line[9:].rstrip("\n")
            elif line.startswith("Version: "):
                version = line[9:].rstrip("\n")
            elif line.startswith("Architecture: "):
                arch = line[14:].rstrip("\n")
            elif line == "\n" and name:
                yield PackageId(name, arch, version)
                name = ""
    if name:
        yield PackageId(name, arch, version)
