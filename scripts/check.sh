#!/usr/bin/env bash
# What needs neither root nor an engine: format of the code, types, import arrows, unit tests.
. "$(dirname "$0")/common.sh"

cd "$ROOT"
"$ROOT/scripts/install.sh"
lint() { say "... $*"; "$@"; }
lint ruff check .
lint mypy
lint lint-imports
[ "${1:-}" = --lint-only ] || lint pytest tests/unit -q
