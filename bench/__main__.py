"""Every benchmark, one after the other: figures for people, nothing is asserted."""

from __future__ import annotations

from bench import compare, listing, memory, scan, wire

for part in (scan, listing, compare, memory, wire):
    part.main()
