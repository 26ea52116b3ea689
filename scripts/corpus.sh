#!/usr/bin/env bash
# Every live system of the lab by every route, or the cases that are named: docs/corpus.md has what came of it.
. "$(dirname "$0")/service.sh"

cd "$ROOT"
"$ROOT/scripts/install.sh"
as_root "$0" "$@"
"$ROOT/scripts/engines.sh" start
start_service
"$VENV/bin/python" -m corpus "$@"
