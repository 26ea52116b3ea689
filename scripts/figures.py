"""Writes the figures of what is proven into the README: from `docs/evidence.json`, `docs/features.json` and `docs/corpus.md`."""

from __future__ import annotations

from reference import proven

if __name__ == "__main__":
    proven.README.write_text(proven.shown(proven.README.read_text(encoding="utf-8")), encoding="utf-8")
