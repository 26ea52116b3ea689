"""Names and versions of templates and bundles: they become folders, and are shown to people."""

from __future__ import annotations

LONGEST = 100
"""Characters."""


def is_title(said: str, without: str = "/") -> bool:
    """Whether `said` can be one: printable (no control or bidirectional characters), no folder that is there already, none of `without`."""
    return len(said) <= LONGEST and said.isprintable() and said.strip() not in ("", ".", "..") and not set(said) & set(without)


def shown(said: str) -> str:
    """`said` in quotes, as it may be told to anybody."""
    return f"'{said}'" if said.isprintable() else ascii(said)
