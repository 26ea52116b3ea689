"""One difference between scans in words, for the terminal and for the page."""

from __future__ import annotations

from typing import Any

WORDS = {"sha256": "content", "extents": "holes", "target": "link target", "hardlink": "links", "xattrs": "attributes", "flags": "inode flags"}
"""Fields whose names say little to people."""


def name(item: dict[str, Any]) -> str:
    """The path of a file, the name of anything else."""
    return str(item.get("path", item.get("name")))


def words(item: dict[str, Any]) -> str:
    """What differs, for people."""
    return ", ".join(WORDS.get(field, field) for field in item["fields"])


def values(item: dict[str, Any]) -> list[str]:
    """What each scan says of it, on one line."""
    told = []
    for value in item["values"]:
        if value is None:
            told.append("-")
        elif item["fields"] == ["presence"]:
            told.append(str(value.get("version") or value.get("state") or "there"))
        else:
            told.append(", ".join(shown(field, value.get(field)) for field in item["fields"]))
    return told


def shown(field: str, value: Any) -> str:
    """One value; digests are cut."""
    if field == "sha256":
        return str(value or "-")[:12]
    return "-" if value is None or value in ("", [], {}) else ",".join(map(str, value)) if isinstance(value, list) else str(value)
