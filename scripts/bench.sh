#!/usr/bin/env bash
# Speed and memory, as ratios of one run. What a peer needs and Forgelet does not is installed here.
. "$(dirname "$0")/common.sh"

cd "$ROOT"
"$ROOT/scripts/install.sh"
as_root "$0" "$@"
"$ROOT/scripts/install.sh" --packages debootstrap
"$ROOT/scripts/engines.sh" start
"$VENV/bin/python" -m bench
