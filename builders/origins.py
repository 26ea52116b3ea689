"""Where each path of an image comes from: the source, by what a build does with it, or the build, by what the last pass wrote down."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from builders.built import Built
from builders.errors import OlderImage
from builders.explain import lists_of, rules
from builders.fate import Fate, fate
from builders.image import Image
from scanner.agent.tree import printable
from scanner.explain import Explanation
from scanner.report import Report

FILE = "origins.ndjson.zst"
"""In the image's folder: a line `[path, rule, package, built]` for each path that is the build's own, be it that the source does not have it or
that the image keeps another. An empty rule: the last pass wrote it, or changed what the source has. `built`: how it was left (`built.py`)."""
BASE, PACKAGE, OVERLAY, PASS, NOBODY = "base", "package", "overlay", "last pass", "nobody"
_OF_FATES = {"install": PACKAGE, "repack": PACKAGE, "restore": OVERLAY, "translate": PASS, "keep-own": BASE}


@dataclass(frozen=True, slots=True)
class Origin:
    """What wrote a path. `by` is one of the words above; `what` names the package, the rule's subject or the element."""

    by: str
    what: str
    why: str
    rule: str | None = None

    def told(self) -> dict[str, str | None]:
        """As plain data."""
        return asdict(self)


def owners(root: Path, packages: Iterable[str]) -> dict[str, str]:
    """Path, as it is listed -> the package that lists it, on the system below `root`."""
    return {
        line: Path(place).name.removesuffix(".list").partition(":")[0]
        for place, text in lists_of(root, packages).items()
        for line in text.decode(errors="surrogateescape").splitlines()
    }


@dataclass(frozen=True, slots=True)
class Own:
    """One line of the record."""

    path: str
    rule: str
    package: str
    built: Built | None
    """None in the record of an image that an older Forgelet built."""


def write(file: Path, paths: Iterable[str], kept: Mapping[str, str], packages: Mapping[str, str], look: Callable[[str], Built]) -> None:
    """Write the record: of each path the rule that kept it, the package that brought it, and how it is now."""
    import zstandard

    with file.open("wb") as raw, zstandard.ZstdCompressor().stream_writer(raw) as out:
        for path in paths:
            package = packages.get(path) or packages.get(path.removeprefix("/usr")) or ""
            out.write(json.dumps([path, kept.get(path, ""), package, look(path).told()]).encode("ascii") + b"\n")


def read(file: Path) -> Iterator[Own]:
    """The lines of a record. Raises FileNotFoundError."""
    import zstandard

    with file.open("rb") as raw, zstandard.ZstdDecompressor().stream_reader(raw) as packed:
        for line in io.TextIOWrapper(packed, "ascii"):
            path, rule, package, *built = json.loads(line)
            yield Own(path, rule, package, Built(**built[0]) if built else None)


def record(folder: Path) -> dict[str, Own]:
    """Path -> line, of the image in `folder`. Raises `OlderImage` when there is no record, or none of how paths were left."""
    try:
        found = {one.path: one for one in read(folder / FILE)}
    except FileNotFoundError:
        found = {}
    if not found or any(one.built is None for one in found.values()):
        raise OlderImage("the image keeps no record of how its build left it: an older Forgelet built it", hint="build the image again: forgelet scan build")
    return found


def origin(folder: Path, path: str, report: Report, found: Explanation | None) -> Origin | None:
    """What wrote `path` into the image in `folder`; `found` is what its source's report says of it. None: the image has no such path.

    Raises FileNotFoundError when the build never finished, or is older than the record.
    """
    image = Image.load(folder)
    written = {one.item: one.reason for one in image.additions if one.item.startswith("/")}
    if found is not None and not found.inside:
        what = fate(report, found.entry)
        if what.action != "nothing" or found.entry.type == "directory":
            return _of_source(what, found, image)
    for one in read(folder / FILE):
        if one.path == path:
            return _of_build(path, one.rule, one.package, written)
    return None


def _of_source(what: Fate, found: Explanation, image: Image) -> Origin:
    by = _OF_FATES.get(what.action, NOBODY)
    name = found.package.name if found.package else (found.entry.package or "")
    if by == PACKAGE:
        version = image.nearest.get(name) or (found.package.version if found.package else "")
        return Origin(PACKAGE, f"{name} {version}".strip(), what.why, what.rule)
    if by == NOBODY and what.action == "nothing":
        return Origin(PASS, "an empty folder", "the scan left out what is in it; the folder itself is made with the source's owner and mode")
    entry = {OVERLAY: "the scan's overlay", PASS: "translation", BASE: "the base disk's own", NOBODY: what.action}[by]
    return Origin(by, entry, what.why, what.rule)


def _of_build(path: str, rule: str, package: str, written: Mapping[str, str]) -> Origin:
    if printable(path.encode("utf-8", "surrogateescape")) in written:
        return Origin(PASS, "what a machine needs to start", written[path], rule or None)
    if package:
        return Origin(PACKAGE, package, rules()[rule].reason if rule in rules() else "an added package", rule or None)
    if not rule:
        return Origin(PASS, "what a machine needs to start", "written when all else was in its place", None)
    return Origin(BASE, "diskimage-builder, with Forgelet's elements", rules()[rule].reason if rule in rules() else rule, rule)
