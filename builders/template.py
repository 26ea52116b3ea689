"""A template on disk: a folder with `files/` (the members of its archive that its stack names) and, when it comes from a scan, `scan/`.

It is made from a scan or from an archive, written as an archive, and copied; contents are shared by hard links, never changed in place.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from builders import scanbundle
from builders.archived import add_file, add_text, configuration, packing, unpack_archive
from builders.capture import installed
from builders.library import Kept
from builders.members import check_sources, clear, lay_out, sources
from builders.spec import refused
from builders.stack import SCAN_BUNDLE, Stack, parse_document, parse_stack
from scanner.errors import UserError
from scanner.report import Report, System

FORMATS = {"yaml": "template.yml", "json": "template.json"}
_SCAN_FILES = ("head.json", "files.ndjson.zst", "overlay.tar.zst", "foreign.tar.zst")


@dataclass(frozen=True, slots=True)
class Template:
    """A template, ready to be built."""

    stack: Stack
    folder: Path

    @property
    def scan(self) -> Path | None:
        """Folder of the scan that it holds."""
        return self.folder / "scan" if (self.folder / "scan").is_dir() else None

    def file(self, source: str) -> Path:
        """The file that a `source` names. Raises `UserError`."""
        path = self.folder / "files" / source
        if ".." in Path(source).parts or source.startswith("/") or not path.exists():
            raise UserError(f"the template has no file '{source}'")
        return path


def from_scan(scan: Path, into: Path, name: str, version: str, description: str = "") -> Stack:
    """Make the template of a scan in folder `into`. Raises `UserError` for a system that cannot be built."""
    report = Report(scan)
    system = report.head.system
    (into / "files").mkdir(parents=True)
    share(scan, into / "scan", _SCAN_FILES)
    packages = [{"name": p.name, "version": p.version, "arch": p.arch} for p in sorted(installed(report.head), key=lambda p: (p.name, p.arch))]
    document = {
        "name": name,
        "version": version,
        "description": description or f"Made from a scan of {system.hostname or 'a machine'}",
        "os": {"name": system.distribution, "version": system.version.partition(".")[0], "arch": system.arch, "profile": "Minimal", "pkgs": packages},
        "bundles": [scanbundle.bundle(scan)],
    }
    return parse_document(document)


def share(source: Path, into: Path, names: tuple[str, ...]) -> None:
    """Hard links to files of a folder: they outlive it."""
    into.mkdir(parents=True)
    for name in names:
        if (source / name).exists():
            os.link(source / name, into / name)


def copy(source: Path, into: Path) -> None:
    """The same template once more; no content is copied."""
    shutil.copytree(source, into, copy_function=os.link)


def read_archive(archive: Path, into: Path, *, use_major: bool = False, library: Mapping[tuple[str, str], Kept] | None = None) -> tuple[Stack, list[str]]:
    """Make the template of an archive in folder `into`; answers its stack and what was edited of the scan in it. A bundle that the
    `library` has (by name and version) is taken from there with its files, and what the archive has of it is left out.

    Raises `SpecError` (every mistake with its line), `HostileInput`, `UserError`.
    """
    library = library or {}
    files = into / "files"
    files.mkdir(parents=True)
    names = set(unpack_archive(archive, files))
    written = configuration(files)
    text = written.read_text("utf-8", errors="replace")
    stack = parse_stack(text, written.name, use_major=use_major, library={title: kept.document for title, kept in library.items()})
    own = {**stack.document, "bundles": [one.document for one in stack.bundles if (one.name, one.version) not in library]}
    check_sources(sources(own, "stack"), names, written.name)
    written.unlink()
    if len(own["bundles"]) < len(stack.bundles):
        stack = _with_library(stack, files, yaml.safe_load(text), own, library)
    edited = []
    for bundle in stack.bundles:
        if bundle.name == SCAN_BUNDLE:
            (into / "scan").mkdir()
            members = {file.name: files / file.source for file in bundle.files}
            edited = scanbundle.take(members, into / "scan")
            _same_release(stack, Report(into / "scan").head.system, written.name)
            for member in members.values():
                member.unlink(missing_ok=True)
    return stack, edited


def _same_release(stack: Stack, scanned: System, name: str) -> None:
    """A scan is built as what it is. Raises `SpecError` for a template that calls it something else."""
    found = (scanned.distribution, scanned.version.partition(".")[0])
    if found != (stack.system.name, stack.system.version):
        raise refused(name, [f"line 1, stack.os: is {stack.system.name} {stack.system.version}, and the template's scan is of {' '.join(found)}: another release is another system"])


def _with_library(stack: Stack, files: Path, written: dict[str, Any], own: dict[str, Any], library: Mapping[tuple[str, str], Kept]) -> Stack:
    """The stack with the files of the library's bundles; those that only the archive's own ones named go."""
    clear(files, sources(written.get("stack"), "stack"), sources(own, "stack"))
    placed = []
    for bundle in stack.bundles:
        kept = library.get((bundle.name, bundle.version))
        placed.append(lay_out(kept.document, kept.files, files) if kept else bundle.document)
    return parse_document({**stack.document, "bundles": placed})


def write_archive(template: Template, format: str, archive: Path, work: Path) -> None:
    """The archive of a template, as hammr's: its files, then `template.yml` or `template.json`. Raises `UserError`."""
    if format not in FORMATS:
        raise UserError(f"there is no output format '{format}'", hint="outputFormat: " + " or ".join(FORMATS))
    document = {"stack": template.stack.document, "builders": None}
    with packing(archive) as tar:
        for path in sorted((template.folder / "files").rglob("*")):
            if path.is_file():
                add_file(tar, str(path.relative_to(template.folder / "files")), path)
        if template.scan is not None:
            laid = work / "scan-bundle"
            laid.mkdir(parents=True)
            scanbundle.lay_out(template.scan, laid)
            for path in sorted(laid.iterdir()):
                add_file(tar, f"{scanbundle.PLACE}/{path.name}", path)
        text = json.dumps(document, indent=2) if format == "json" else yaml.safe_dump(document, sort_keys=True, allow_unicode=True, width=1000)
        add_text(tar, FORMATS[format], text)
