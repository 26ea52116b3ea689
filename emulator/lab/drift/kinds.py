"""The kinds of mutations by name: each a function that finds a place for itself, or answers None when the system offers none."""

from __future__ import annotations

from emulator.lab.drift import contents, metadata, records, services, tree
from emulator.lab.drift.plan import Kind

KINDS: dict[str, Kind] = {
    **contents.KINDS,
    **metadata.KINDS,
    **tree.KINDS,
    **records.KINDS,
    **services.KINDS,
}
