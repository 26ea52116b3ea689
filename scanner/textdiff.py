"""What changed inside text files, where two overlays hold both versions. Bounded: few files, small ones, and no secrets."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from scanner.overlay import CONTENTS, member_path, open_overlay
from scanner.redact import is_secret
from scanner.report import Kind, Report

LARGEST = 64 << 10
"""Bytes of one file; larger ones are not compared as text."""
MOST = 200
"""Files of one comparison."""
LONGEST = 400
"""Lines of one difference."""


def worth_reading(path: str, rows: Collection[Mapping[str, Any] | None], fields: Collection[str]) -> bool:
    """Whether these two versions of a file may be told as text: regular, small, different contents, no secret."""
    if "sha256" not in fields or any(row is None or row["type"] != Kind.FILE or row["size"] > LARGEST for row in rows):
        return False
    return not is_secret(path) and not any(row and row.get("secret") for row in rows)


def text_diffs(left: Report, right: Report, paths: Collection[str]) -> dict[str, str]:
    """Path -> unified diff, for those of `paths` that both overlays hold as text. Each overlay is read once.

    Raises `HostileInput` when an overlay is damaged.
    """
    wanted = set(paths)
    if not wanted:
        return {}
    ours, theirs = _contents(left.folder / CONTENTS, wanted), _contents(right.folder / CONTENTS, wanted)
    found = {path: _diff(ours[path], theirs[path]) for path in ours.keys() & theirs.keys()}
    return {path: diff for path, diff in found.items() if diff}


def _contents(overlay: Path, wanted: Collection[str]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    if not overlay.exists():
        return found
    with open_overlay(overlay) as tar:
        for member in tar:
            path = member_path(member)
            if member.isreg() and path in wanted and member.size <= LARGEST:
                data = tar.extractfile(member)
                found[path] = data.read() if data else b""
    return found


def _diff(one: bytes, other: bytes) -> str:
    """Empty when either is no text, or when there is nothing to see."""
    if b"\0" in one or b"\0" in other:
        return ""
    before, after = (text.decode("utf-8", "backslashreplace").splitlines() for text in (one, other))
    found = list(difflib.unified_diff(before, after, "before", "after", lineterm=""))
    rest = len(found) - LONGEST
    return "\n".join([*found[:LONGEST], *([f"... {rest} more lines"] if rest > 0 else [])])
