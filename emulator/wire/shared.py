"""Data that many answers hold."""

from __future__ import annotations

from typing import Any


class Shared(dict[str, Any]):
    """Data that is told many times, as one and the same object: it is written once. Never to be changed."""

    __slots__ = ("json", "written")

    def __init__(self, *data: Any) -> None:
        super().__init__(*data)
        self.json = b""
        """As JSON, once it was written."""
        self.written: dict[tuple[str, str], str] = {}
        """As it stands in a document, by the element's name and type."""
