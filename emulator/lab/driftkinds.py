"""The kinds of mutations by name: each a function that finds a place for itself, or answers None when the system offers none."""

from __future__ import annotations

from emulator.lab import driftcontents, driftmetadata, driftrecords, driftservices, drifttree
from emulator.lab.driftplan import Kind

KINDS: dict[str, Kind] = {
    **driftcontents.KINDS,
    **driftmetadata.KINDS,
    **drifttree.KINDS,
    **driftrecords.KINDS,
    **driftservices.KINDS,
}
