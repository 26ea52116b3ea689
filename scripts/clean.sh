#!/usr/bin/env bash
# Takes away what the project made: on the machine (forgelet clean), its engines if it started them, and in this clone.
. "$(dirname "$0")/common.sh"

cd "$ROOT"
as_root "$0" "$@"
if [ -x "$VENV/bin/forgelet" ]; then
    "$VENV/bin/forgelet" clean
else
    say '... there is no .venv: what may be left on the machine goes with "make engines clean"'
fi
"$ROOT/scripts/engines.sh" stop
rm -rf "$VENV" build dist ./*.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .coverage
find . -name __pycache__ -type d -prune -exec rm -rf {} +
