"""Every benchmark, one after the other: figures for people, nothing is asserted."""

from __future__ import annotations

from bench import build, compare, listing, lists, memory, million, reset, scan, wire

for part in (scan, listing, lists, compare, memory, million, wire, reset, build):
    part.main()
