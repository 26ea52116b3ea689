"""Bundles: files that a template puts on the machine, with their places, owners, rights and links; packages and boot scripts among them.

    - name: tools
      version: "1.0"
      destination: /opt/tools
      license: {name: license.txt, source: ...}
      files:
      - {name: run.sh, source: ..., rights: "755", ownerGroup: "root:root", symlink: /usr/local/bin/run}
      - {name: data.tar.gz, source: ..., extract: true}
      - {name: curl, source: ..., tag: ospkg}
      - {name: setup, source: ..., tag: bootscript, bootType: firstboot, bootOrder: 1}
      - {name: folder, source: ..., files: [{name: a, source: ...}]}

Source of the keys: hammr's documentation of bundles.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from builders.section import Section
from builders.spec import Reader, compose, data, refused

TAGS = ("softwarefile", "ospkg", "bootscript")
ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
FULL_NAME = re.compile(r"([a-z0-9][a-z0-9+.-]+)(?:_([0-9A-Za-z.+:~%-]+)_(amd64|all)(?:\.deb)?)?")
_PLAIN = ("description", "sourceLogo", "shortTag", "category", "maintainer", "website")


@dataclass(frozen=True, slots=True)
class BundleFile:
    """One file or folder of a bundle."""

    name: str
    source: str
    """A member of the archive; of a package, whatever it says."""
    tag: str = "softwarefile"
    destination: str = ""
    """The folder that it goes to; empty: its parent's."""
    rights: str = ""
    """Octal."""
    owner: str = ""
    """`user:group`, names or numbers."""
    symlink: str = ""
    """A path that is to lead to the file."""
    extract: bool = False
    install: bool = False
    """Run (or, of a `.deb`, installed) at the first boot."""
    parameters: str = ""
    every_boot: bool = False
    order: int = 0
    md5: str = ""
    sha256: str = ""
    files: tuple[BundleFile, ...] = ()

    @property
    def package(self) -> tuple[str, str, str]:
        """Name, version, architecture of what is tagged `ospkg`; empty where it says none."""
        match = FULL_NAME.fullmatch(self.name)
        return (match[1], (match[2] or "").replace("%3a", ":"), match[3] or "") if match else (self.name, "", "")


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle, checked."""

    name: str
    version: str
    destination: str
    files: tuple[BundleFile, ...]
    license: str = ""
    """The member of the archive that holds the licence."""
    document: dict[str, Any] = field(default_factory=dict, compare=False)
    """The bundle as it was written."""

    def tagged(self, tag: str) -> Iterator[BundleFile]:
        """The first-level files of that tag."""
        return (file for file in self.files if file.tag == tag)


def parse_bundle(text: str, name: str) -> Bundle:
    """The bundle of the file `name`, for whatever system (`.json` is JSON, all else YAML). Raises `SpecError` that names every mistake."""
    reader = Reader()
    top = Section.of(reader, compose(text, name), "")
    made = read_bundle(top) if not reader.problems else None
    if made is None or reader.problems:
        raise refused(name, reader.problems)
    return made


def read_bundle(section: Section, system: tuple[str, str] | None = None) -> Bundle:
    """The bundle, for a template's system (name, version) where one is named; mistakes go to the section's reader."""
    for key in _PLAIN:
        section.text(key)
    section.text("restrictionRule")
    _restrictions(section, system)
    if not section.nodes("files"):
        section.problem("files", "is missing (a list of files)")
    license = section.section("license")
    made = Bundle(
        name=section.title("name", "a name (up to 100 printable characters, without slashes, and not '..')"),
        version=section.title("version", "a version (up to 100 printable characters, without slashes, and not '..')"),
        destination=_place(section, "destination") or "/",
        files=tuple(_file(one, nested=False) for one in section.sections("files")),
        license=license.text("source", required=True) if license else "",
        document=_document(section),
    )
    section.finish()
    return made


def _restrictions(section: Section, system: tuple[str, str] | None) -> None:
    told = [(one.text("name"), one.text("version").partition(".")[0]) for one in section.sections("oses")]
    if system is None:
        return
    section.refuse("restrictionRule", "restriction rules cannot be evaluated yet: leave the bundle out of templates that it is not for")
    if told and all(name != system[0] or (version and version != system[1]) for name, version in told):
        section.problem("oses", f"the bundle is not for {system[0]} {system[1]}")


def _document(section: Section) -> dict[str, Any]:
    """As data; name and version are texts, also where YAML would see numbers in them."""
    told = data(section.node)
    if not isinstance(told, dict):
        return {}
    return {**told, **{key: section.values[key].value for key in ("name", "version") if isinstance(section.values.get(key), yaml.ScalarNode)}}


def _file(section: Section, *, nested: bool) -> BundleFile:
    tag = section.choice("tag", TAGS, "softwarefile")
    if nested and tag != "softwarefile":
        section.problem("tag", f"'{tag}' is for files of the first level")
    software, script = tag == "softwarefile", tag == "bootscript"
    for key, fits in (("ownerGroup", software), ("rights", software), ("symlink", software), ("files", software), ("bootOrder", script), ("bootType", script)):
        if section.get(key) is not None and not fits:
            section.problem(key, f"has no meaning for a file tagged {tag}")
    name = section.text("name", required=True, pattern=r"(?!\.\.?$)[^/\n\0]{1,200}", what="a file name")
    made = BundleFile(
        name=name,
        source=section.text("source", required=True),
        tag=tag,
        destination=_place(section, "destination"),
        rights=section.text("rights", pattern=r"[0-7]{3,4}", what="rights such as 755"),
        owner=section.text("ownerGroup", pattern=r"[A-Za-z0-9_.-]+(:[A-Za-z0-9_.-]+)?", what="an owner (user:group)"),
        symlink=_place(section, "symlink"),
        extract=section.flag("extract"),
        install=section.flag("install"),
        parameters=section.text("params", pattern=r"[^\n\0]*", what="one line"),
        every_boot=section.choice("bootType", ("firstboot", "everyboot"), "firstboot") == "everyboot",
        order=section.number("bootOrder", 0, 9999) or 0,
        md5=section.text("md5sum", pattern=r"[0-9a-fA-F]{32}", what="an MD5 sum").lower(),
        sha256=section.text("sha256sum", pattern=r"[0-9a-fA-F]{64}", what="a SHA-256 sum").lower(),
        files=tuple(_file(one, nested=True) for one in section.sections("files")),
    )
    if made.extract and not made.source.endswith(ARCHIVES):
        section.problem("extract", f"only tar archives are extracted ({', '.join(ARCHIVES)})")
    if made.extract and made.install:
        section.problem("install", "an archive that is extracted is not there to be run")
    if tag == "ospkg" and not FULL_NAME.fullmatch(name):
        section.problem("name", f"'{name}' is not the name of a package, nor name_version_arch.deb")
    section.finish()
    return made


def _place(section: Section, key: str) -> str:
    """An absolute path without dots, such as `/opt/tools`."""
    said = section.text(key, pattern=r"/[^\n\0]*", what="an absolute path")
    if ".." in said.split("/"):
        section.problem(key, f"'{said}' must not have '..' in it")
    return said
