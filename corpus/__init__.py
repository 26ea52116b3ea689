"""The corpus: every live system of the lab by every route, scanned, built, booted and compared. `make corpus`; results in docs/corpus.md."""
