"""The template file's `stack`: an operating system, its packages, what is installed on it, how it is set up.

    stack:
      name: web
      version: "1.0"
      os: {name: Debian, version: "12", arch: x86_64, profile: Minimal, pkgs: [{name: nginx, version: 1.22.1-9}]}
      installation: {timezone: Europe/London, users: [{name: alice}]}
      config: [{name: hello, source: config/hello.sh, type: bootscript, frequency: firstboot, order: 1}]
      bundles: [...]

Every mistake is named with line and key. A key is built, or refused with the reason. Source of the keys: hammr's documentation.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from builders.bundle import Bundle, read_bundle
from builders.installation import Installation, read_installation
from builders.section import Section
from builders.spec import Reader, compose, data, refused
from scanner.host import clock

RELEASES = {"11": "bullseye", "12": "bookworm", "13": "trixie"}
"""Debian's releases that a template can name."""

ARCHES = {"x86_64": "amd64", "amd64": "amd64"}
PROFILES = {"Minimal": "required", "Server": "important"}
"""Profile -> the lowest priority of the packages that it has (deb-control(5), Priority)."""

SCAN_BUNDLE = "forgelet-scan"
"""The bundle that carries the scan of a template made from one: see `builders/archived.py`."""

PACKAGE = r"[a-z0-9][a-z0-9+.-]+"
VERSION = r"[0-9A-Za-z.+:~-]+"


@dataclass(frozen=True, slots=True, order=True)
class Wish:
    """One package that the template asks for."""

    name: str
    version: str = ""
    """Empty: the newest that the archive offers."""
    arch: str = ""

    @property
    def apt(self) -> str:
        """`name`, `name:arch`, `name=version`: as apt wants it."""
        name = f"{self.name}:{self.arch}" if self.arch and self.arch != "all" else self.name
        return f"{name}={self.version}" if self.version else name


@dataclass(frozen=True, slots=True)
class System:
    """The operating system."""

    name: str
    version: str
    arch: str
    """Debian's name: `amd64`."""
    profile: str
    packages: tuple[Wish, ...] = ()

    @property
    def codename(self) -> str:
        return RELEASES[self.version]


@dataclass(frozen=True, slots=True)
class Script:
    """A script that runs when the machine starts."""

    name: str
    source: str
    """Its file in the template's archive."""
    every_boot: bool
    order: int


@dataclass(frozen=True, slots=True)
class Stack:
    """A template, checked."""

    name: str
    version: str
    description: str
    system: System
    installation: Installation
    scripts: tuple[Script, ...]
    """In the order in which they run."""
    bundles: tuple[Bundle, ...]
    bundled: tuple[Wish, ...]
    """Packages that its bundles ask for."""
    document: dict[str, Any]
    """The section as it was written."""

    @property
    def from_scan(self) -> bool:
        """Whether a scan comes with it."""
        return any(bundle.name == SCAN_BUNDLE for bundle in self.bundles)

    @property
    def own_bundles(self) -> tuple[Bundle, ...]:
        """All but the one that carries the scan."""
        return tuple(bundle for bundle in self.bundles if bundle.name != SCAN_BUNDLE)


Library = Mapping[tuple[str, str], dict[str, Any]]
"""Bundles that are there already: name and version -> document."""


def parse_stack(text: str, name: str, *, use_major: bool = False, library: Library | None = None) -> Stack:
    """The stack section of the file `name` (`.json` is JSON, all else YAML). Raises `SpecError` that names every mistake.

    `use_major`: a version of the system such as 12.5 is taken as its major version. A bundle that the `library` has is taken from there,
    whatever else the section says of it.
    """
    reader = Reader()
    top = Section.of(reader, compose(text, name), "")
    found = top.section("stack") if not reader.problems else None
    if found is None:
        raise refused(name, reader.problems or ["line 1, stack: is missing (the template itself)"])
    stack = _stack(found, use_major, library or {})
    if reader.problems:
        raise refused(name, reader.problems)
    return stack


def parse_document(document: dict[str, Any], name: str = "template.json", *, use_major: bool = False) -> Stack:
    """The same from a stored section."""
    return parse_stack(json.dumps({"stack": document}), name, use_major=use_major)


def _stack(section: Section, use_major: bool, library: Library) -> Stack:
    name = section.title("name", "a name (up to 100 printable characters, without slashes and quotes)", "/\"'")
    version = section.title("version", "a version (printable, without slashes, quotes and blanks)", "/\"' ")
    section.text("source_logo")
    os_section, setup = section.section("os"), section.section("installation")
    if os_section is None:
        section.problem("os", "is missing (name, version, arch)")
    system = _system(os_section, use_major) if os_section else System("", "", "", "")
    chosen = [_from_library(one, library) for one in section.sections("bundles")]
    bundles = tuple(read_bundle(one, (system.name, system.version)) for one in chosen)
    for twice in sorted({(one.name, one.version) for one in bundles if sum((one.name, one.version) == (b.name, b.version) for b in bundles) > 1}):
        section.problem("bundles", f"names '{twice[0]}' of version '{twice[1]}' twice")
    if sum(one.name == SCAN_BUNDLE for one in bundles) > 1:
        section.problem("bundles", f"holds more than one '{SCAN_BUNDLE}': a template has one scan at most")
    if system.profile != "Minimal" and any(one.name == SCAN_BUNDLE for one in bundles):
        section.problem("os", f"the template has a scan, and so the packages that were scanned: the profile {system.profile} cannot be added to them")
    booted = [Script(file.name, file.source, file.every_boot, file.order) for bundle in bundles for file in bundle.tagged("bootscript")]
    scripts = sorted([*(_script(one) for one in section.sections("config")), *booted], key=lambda script: script.order)
    wishes = [Wish(*file.package) for bundle in bundles for file in bundle.tagged("ospkg")]
    made = Stack(
        name=name.strip(),
        version=version,
        description=section.text("description"),
        system=system,
        installation=read_installation(setup) if setup else Installation(),
        scripts=tuple(scripts),
        bundles=bundles,
        bundled=tuple(wishes),
        document=_document(section, name.strip(), version, system, bundles),
    )
    section.finish()
    return made


def _from_library(section: Section, library: Library) -> Section:
    """The section, or the same bundle as the library has it."""
    name, version = (str(getattr(section.get(key), "value", "")) for key in ("name", "version"))
    kept = library.get((name, version))
    return section if kept is None else Section.of(section.reader, compose(json.dumps(kept), "library.json"), section.key)


def _document(section: Section, name: str, version: str, system: System, bundles: tuple[Bundle, ...]) -> dict[str, Any]:
    """The section as data. A version is a text, also where YAML would see a number in it; a bundle of the library has its place."""
    told = data(section.node)
    if not isinstance(told, dict):
        return {}
    os_section = told.get("os")
    if isinstance(os_section, dict):
        os_section["version"] = system.version
        if system.packages:
            os_section["pkgs"] = [{key: value for key, value in asdict(wish).items() if value} for wish in system.packages]
    if bundles:
        told["bundles"] = [bundle.document for bundle in bundles]
    return {**told, "name": name, "version": version}


def _system(section: Section, use_major: bool) -> System:
    name = section.choice("name", ("Debian",), required=True)
    version = section.text("version", required=True)
    major = version.partition(".")[0]
    if version and use_major and major in RELEASES:
        version = major
    if version and version not in RELEASES:
        hint = f"; with useMajor it is taken as {major}" if major in RELEASES else ""
        section.problem("version", f"unknown: '{version}' (known: {', '.join(RELEASES)}{hint})")
    arch = section.choice("arch", tuple(ARCHES), required=True)
    profile = section.choice("profile", tuple(PROFILES), "Minimal")
    packages = tuple(_wish(one) for one in section.sections("pkgs"))
    for wish in sorted({wish for wish in packages if sum(other.name == wish.name and other.arch == wish.arch for other in packages) > 1}):
        section.problem("pkgs", f"names '{wish.name}' twice")
    _update_to(section)
    section.finish()
    return System(name, version, ARCHES.get(arch, ""), profile, packages)


def _wish(section: Section) -> Wish:
    """`fullName` is RPM's; what Debian has of the kind is `name_version_arch.deb`."""
    full = section.text("fullName")
    if full:
        match = re.fullmatch(rf"({PACKAGE})_({VERSION})_(amd64|all)(\.deb)?", full)
        if not match:
            section.problem("fullName", f"'{full}' is not name_version_arch.deb")
        wish = Wish(match[1], match[2].replace("%3a", ":"), match[3]) if match else Wish("")
    else:
        version = section.text("version", pattern=VERSION, what="a version")
        release = section.text("release", pattern=VERSION, what="a release")
        wish = Wish(
            section.text("name", required=True, pattern=PACKAGE, what="the name of a package"),
            f"{version}-{release}" if version and release else version,
            section.choice("arch", ("amd64", "all", "x86_64", "noarch")).replace("x86_64", "amd64").replace("noarch", "all"),
        )
    for key in ("name", "version", "release", "arch"):
        section.get(key)
    section.finish()
    return wish


def _update_to(section: Section) -> None:
    said = section.text("updateTo")
    if not said:
        return
    try:
        if not re.fullmatch(r"\d{4}-\d\d-\d\d( \d\d:\d\d( \S+)?)?", said):
            raise ValueError(said)
        day = datetime.fromisoformat(said[:16]).date()
    except ValueError:
        section.problem("updateTo", f"'{said}' is not a date (YYYY-MM-DD, or YYYY-MM-DD HH:MM ZONE)")
        return
    today = clock.now().date()
    # Somewhere it is tomorrow already.
    if not today <= day <= today + timedelta(days=1):
        section.problem("updateTo", f"the package set of {day} cannot be had: this machine's mirrors hold the present one only; pin versions in os.pkgs")


def _script(section: Section) -> Script:
    section.choice("type", ("bootscript",), "bootscript")
    made = Script(
        name=section.title("name", "a name without slashes"),
        source=section.text("source", required=True),
        every_boot=section.choice("frequency", ("firstboot", "everyboot"), "firstboot") == "everyboot",
        order=section.number("order", 0, 9999) or 0,
    )
    section.finish()
    return made
