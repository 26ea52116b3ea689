"""Every benchmark, one after the other: figures for people, nothing is asserted."""

from __future__ import annotations

from bench import compare, listing, many, memory, scan, wire

for part in (scan, listing, many, compare, memory, wire):
    part.main()
