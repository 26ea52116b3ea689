"""Packages of programming languages, known by the files that describe them; asked for every file that the walk meets."""

import re
from typing import Dict, Optional

from scanner.agent.tree import printable

Row = Dict[str, object]
PYTHON = re.compile(rb"^(.*)/[^/]+(?:\.dist-info/METADATA|\.egg-info/PKG-INFO|\.egg-info)$", re.DOTALL)
NODE = re.compile(rb"^(.*/node_modules)/((?:@[^/]+/)?[^/@][^/]*)/package\.json$", re.DOTALL)
GEM = re.compile(rb"^(.*)/specifications/(?:default/)?([^/]+?)-([0-9][^/-]*)(?:-[^/]+)?\.gemspec$", re.DOTALL)
MARKS = (b"/METADATA", b"/PKG-INFO", b".egg-info", b"/package.json", b".gemspec")
VERSION = re.compile(rb"\"version\"\s*:\s*\"([^\"\\]*)\"")


def marked(path: bytes) -> bool:
    """Whether a file with such a path may describe a package."""
    return path.endswith(MARKS)


def package(path: bytes, head: bytes) -> Optional[Row]:
    """The package that the file at `path` describes, by its first bytes; None when it describes none."""
    if not marked(path):
        return None
    for pattern, read in ((PYTHON, _python), (NODE, _node), (GEM, _gem)):
        match = pattern.match(path)
        if match:
            return read(match, head)
    return None


def _row(manager: str, name: bytes, version: bytes, root: bytes) -> Optional[Row]:
    row: Row = {"manager": manager, "name": printable(name), "version": printable(version), "root": printable(root)}
    return row if name and version else None


def _python(match: "re.Match[bytes]", head: bytes) -> Optional[Row]:
    fields = dict(line.partition(b":")[::2] for line in head.split(b"\n\n")[0].split(b"\n")[::-1])
    return _row("pip", fields.get(b"Name", b"").strip(), fields.get(b"Version", b"").strip(), match.group(1))


def _node(match: "re.Match[bytes]", head: bytes) -> Optional[Row]:
    """Its folder's name is what it is required by; package.json may be longer than what is looked at."""
    version = VERSION.search(head)
    return _row("npm", match.group(2), version.group(1) if version else b"", match.group(1))


def _gem(match: "re.Match[bytes]", head: bytes) -> Optional[Row]:
    return _row("gem", match.group(2), match.group(3), match.group(1))
