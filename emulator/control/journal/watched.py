"""Which fields of a request's body nobody read: dictionaries that remember what was asked of them."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, ValuesView
from typing import Any

UNTOLD = frozenset({"xsiType"})
"""Keys that are not the client's: the reader puts them there."""


class Watched(dict[str, Any]):
    """A dictionary as any other. Taking a value is reading it; whoever takes them all has read them all."""

    def __init__(self, data: dict[str, Any]) -> None:
        super().__init__({key: watch(value) for key, value in data.items()})
        self.read: set[str] = set()

    def __getitem__(self, key: str) -> Any:
        self.read.add(key)
        return super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        self.read.add(key)
        return super().get(key, default)

    def pop(self, key: str, *default: Any) -> Any:
        self.read.add(key)
        return super().pop(key, *default)

    def items(self) -> ItemsView[str, Any]:  # type: ignore[override]
        self.read.update(super().keys())
        return super().items()

    def values(self) -> ValuesView[Any]:  # type: ignore[override]
        self.read.update(super().keys())
        return super().values()

    def __iter__(self) -> Iterator[str]:
        # Overridden so that `{**data}` and `dict(data)` ask for each value, and do not copy behind our back.
        return super().__iter__()

    def unread(self, where: str = "") -> list[str]:
        """Dotted paths of what was never taken, in the order in which it was sent."""
        found: list[str] = []
        for key, value in super().items():
            if key not in self.read and key not in UNTOLD:
                found.append(where + key)
            elif key not in UNTOLD:
                found += _below(value, f"{where}{key}")
        return found


def _below(value: Any, where: str) -> list[str]:
    if isinstance(value, Watched):
        return value.unread(f"{where}.")
    if isinstance(value, list):
        return [path for number, one in enumerate(value) for path in _below(one, f"{where}[{number}]")]
    return []


def watch(value: Any) -> Any:
    """`value`, watched at every depth."""
    if isinstance(value, dict):
        return Watched(value)
    return [watch(one) for one in value] if isinstance(value, list) else value
