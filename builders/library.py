"""Bundles of a library: each a folder `files/` in hammr's layout beside its document. Read from archives, written as archives, copied.

Contents are shared by hard links, never changed in place.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from builders.archived import add_file, add_text, configuration, packing, unpack_archive
from builders.bundle import Bundle, parse_bundle
from builders.members import check_sources, lay_out, sources
from scanner.errors import UserError

FORMATS = {"yaml": "bundle.yml", "json": "bundle.json"}


@dataclass(frozen=True, slots=True)
class Kept:
    """A bundle with its files."""

    document: dict[str, Any]
    files: Path

    @property
    def bundle(self) -> Bundle:
        """Checked once more. Raises `SpecError`."""
        return parse_bundle(json.dumps(self.document), "bundle.json")

    @property
    def members(self) -> list[Path]:
        """Its files on disk, sorted."""
        return sorted(path for path in self.files.rglob("*") if path.is_file())

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return sum(path.stat().st_size for path in self.members)

    def file(self, source: str) -> Path:
        """The file that a `source` names."""
        return self.files / source

    def digest(self) -> str:
        """Equal for bundles that say the same and have the same files, wherever these come from."""
        found = hashlib.sha256(json.dumps(self.document, sort_keys=True).encode())
        for path in self.members:
            with path.open("rb") as contents:
                found.update(f"{path.relative_to(self.files)}\0{hashlib.file_digest(contents, 'sha256').hexdigest()}\0".encode("utf-8", "surrogateescape"))
        return found.hexdigest()


def keep(document: dict[str, Any], files: Path, into: Path) -> Kept:
    """A bundle with its files in the new folder `into`: from a template, or the same once more under another name."""
    place = into / "files"
    place.mkdir(parents=True)
    return Kept(lay_out(document, files, place), place)


def read_archive(archive: Path, into: Path, work: Path) -> Kept:
    """Make the bundle of an archive in folder `into`. Raises `SpecError` (every mistake with its line), `HostileInput`."""
    unpacked = work / "unpacked"
    unpacked.mkdir(parents=True)
    names = set(unpack_archive(archive, unpacked))
    written = configuration(unpacked, "bundle")
    bundle = parse_bundle(written.read_text("utf-8", errors="replace"), written.name)
    check_sources(sources(bundle.document, ""), names, written.name)
    return keep(bundle.document, unpacked, into)


def write_archive(kept: Kept, format: str, archive: Path) -> None:
    """The archive of a bundle, as hammr's: its files, then `bundle.yml` or `bundle.json`. Raises `UserError`."""
    if format not in FORMATS:
        raise UserError(f"there is no output format '{format}'", hint="outputFormat: " + " or ".join(FORMATS))
    with packing(archive) as tar:
        for path in kept.members:
            add_file(tar, str(path.relative_to(kept.files)), path)
        text = json.dumps(kept.document, indent=2) if format == "json" else yaml.safe_dump(kept.document, sort_keys=True, allow_unicode=True, width=1000)
        add_text(tar, FORMATS[format], text)
