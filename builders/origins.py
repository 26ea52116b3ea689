"""Where each path of an image comes from: the source, by what a build does with it, or the build, by what the last pass wrote down."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from builders import traces
from builders.built import Built
from builders.errors import OlderImage
from builders.explain import lists_of, rules
from builders.fate import Fate, fate
from builders.image import Image
from scanner.explain import Explanation
from scanner.report import Report

FILE = "origins.ndjson.zst"
"""In the image's folder: a line `[path, rule, package, built]` for each path that is the build's own, be it that the source does not have it or
that the image keeps another. `built`: how it was left (`built.py`)."""
BASE, PACKAGE, OVERLAY, PASS, TEMPLATE, NOBODY = "base", "package", "overlay", "last pass", "template", "nobody"
_THE_BASE = "diskimage-builder, with Forgelet's elements"
_PLACED = "put there when packages and scan were in their places"
_OF_FATES = {"install": PACKAGE, "repack": PACKAGE, "restore": OVERLAY, "translate": OVERLAY, "keep-own": BASE}
"""What is translated is in the record of the last pass: else nothing in it named the old surroundings."""


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
    """None in the record of an image that an older Forgelet built, and of one that has no source to be proven against."""


def write(file: Path, paths: Iterable[str], kept: Mapping[str, str], packages: Mapping[str, str], look: Callable[[str], Built] | None = None) -> None:
    """Write the record: of each path the rule that kept it, the package that brought it, and how it is now, where somebody asks for that."""
    import zstandard

    with file.open("wb") as raw, zstandard.ZstdCompressor().stream_writer(raw) as out:
        for path in paths:
            package = packages.get(path) or packages.get(path.removeprefix("/usr")) or ""
            how = [look(path).told()] if look else []
            out.write(json.dumps([path, kept.get(path, ""), package, *how]).encode("ascii") + b"\n")


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


def origin(folder: Path, path: str, report: Report | None, found: Explanation | None) -> Origin | None:
    """What wrote `path` into the image in `folder`; `found` is what its source's `report` says of it, where it has one. None: the image has
    no such path.

    Raises FileNotFoundError when the build never finished, or is older than the records.
    """
    image = Image.load(folder)
    reasons = {one.item: one.reason for one in image.additions}
    if (folder / traces.TEMPLATE).exists() and (step := traces.find(folder / traces.TEMPLATE, path)) is not None:
        return Origin(TEMPLATE, step, reasons.get(path, _PLACED))
    if report is not None and (step := traces.find(folder / traces.PASS, path)) is not None:
        return _of_pass(path, step, reasons)
    if report is not None and found is not None and not found.inside and (made := _of_source(report, found, image)):
        return made
    for one in read(folder / FILE):
        if one.path == path:
            return _of_build(one, found, image)
    return None


def _of_pass(path: str, step: str, reasons: Mapping[str, str]) -> Origin:
    if step == traces.TRANSLATION:
        return Origin(PASS, step, rules()["translated"].reason, "translated")
    if path in reasons:
        return Origin(PASS, step, reasons[path])
    rule = next((rule for rule in rules().values() if rule.covers(path) and not rule.source), None)
    return Origin(PASS, step, rule.reason if rule else "written when all else was in its place", rule.name if rule else None)


def _of_source(report: Report, found: Explanation, image: Image) -> Origin | None:
    """None: it is the build that decides whether the path is there."""
    what, folder = fate(report, found.entry), found.entry.type == "directory"
    if (what.action == "nothing" and not folder) or _left_out(found, what, image):
        return None
    if what.action == "nothing":
        return Origin(PASS, "an empty folder", "the scan left out what is in it; the folder itself is made with the source's owner and mode")
    by = _OF_FATES.get(what.action, NOBODY)
    if by == PACKAGE:
        name = found.package.name if found.package else (found.entry.package or "")
        version = _installed(image).get(name) or image.nearest.get(name) or (found.package.version if found.package else "")
        return Origin(PACKAGE, f"{name} {version}".strip(), what.why, what.rule)
    entry = {OVERLAY: "the scan's overlay", BASE: "the base disk's own", NOBODY: what.action}[by]
    return Origin(by, entry, what.why, what.rule)


def _left_out(found: Explanation, what: Fate, image: Image) -> bool:
    """Whether the path's package is not in the image: the template took it out, with its settings, or it could not be had."""
    name = (found.entry.package or "").partition(":")[0]
    there = _installed(image)
    if not name or not there or name in there or found.entry.type == "directory":
        return False
    return "template" in image.provenance or _OF_FATES.get(what.action) == PACKAGE


def _installed(image: Image) -> dict[str, str]:
    """Package -> version, of those that the build installed, as far as it wrote them down."""
    rows = (row.split(" ") for row in image.provenance.get("packages", ()))
    return {name: version for name, _, version in rows}


def _of_build(own: Own, found: Explanation | None, image: Image) -> Origin:
    known = rules().get(own.rule)
    if own.package:
        reasons = {one.item: one.reason for one in image.additions}
        why = known.reason if known else reasons.get(own.package, "an added package")
        return Origin(PACKAGE, f"{own.package} {_installed(image).get(own.package, '')}".strip(), why, own.rule or None)
    made = "the scan left it out, and the base disk has it" if found else "made when the packages were installed, or when the disk was"
    return Origin(BASE, _THE_BASE, known.reason if known else own.rule or made, own.rule or None)
