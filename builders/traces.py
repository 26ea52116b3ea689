"""Which step of a build wrote a path, where it was neither a package nor the overlay: records beside the image, a line `[path, step]` each."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

PASS, TEMPLATE = "last-pass.ndjson.zst", "template.ndjson.zst"
"""In the image's folder: what the last pass did itself, and what a template's own steps wrote."""
TRANSLATION, ACCOUNTS, LOADER = "translation", "the merged accounts", "the loader's cache"
START, STARTUP = "what a machine needs to start", "what the source's settings make of the boot files"
"""Steps of the last pass."""


def write(file: Path, rows: Iterable[tuple[str, str]]) -> None:
    """Write a record: of each path the step that wrote it."""
    import zstandard

    with file.open("wb") as raw, zstandard.ZstdCompressor().stream_writer(raw) as out:
        for path, step in rows:
            out.write(json.dumps([path, step]).encode("ascii") + b"\n")


def read(file: Path) -> Iterator[tuple[str, str]]:
    """The rows of a record. Raises FileNotFoundError."""
    import zstandard

    with file.open("rb") as raw, zstandard.ZstdDecompressor().stream_reader(raw) as packed:
        for line in io.TextIOWrapper(packed, "ascii"):
            path, step = json.loads(line)
            yield path, step


def find(file: Path, path: str) -> str | None:
    """The step that wrote `path`, the last one that did. Raises FileNotFoundError."""
    found = None
    for one, step in read(file):
        found = step if one == path else found
    return found
