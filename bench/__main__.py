"""Every benchmark, one after the other: figures for people, nothing is asserted."""

from __future__ import annotations

from bench import compare, listing, lists, many, memory, scan, wire

for part in (scan, listing, lists, many, compare, memory, wire):
    part.main()
