"""Whether a file is what Glance says that it has. Which hash a Glance makes is its operator's choice (`hashing_algorithm`); old ones make MD5 only."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def matches(image: Mapping[str, Any], file: Path, known: Mapping[str, str]) -> bool | None:
    """None when Glance tells no hash that can be made here. `known` are digests of the file that need not be made again, by algorithm."""
    algorithm, told = str(image.get("os_hash_algo") or ""), image.get("os_hash_value")
    if not told or algorithm not in hashlib.algorithms_available:
        algorithm, told = "md5", image.get("checksum")
    return None if not told else (known.get(algorithm) or digest(file, algorithm)) == told


def digest(file: Path, algorithm: str) -> str:
    """In hexadecimal digits."""
    with file.open("rb") as opened:
        # MD5 finds broken transfers here, nothing more.
        return hashlib.file_digest(opened, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()
