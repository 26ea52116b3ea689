#!/usr/bin/env bash
# All tests, on the real engines. Fails on any skip, and unless every engine really did something.
. "$(dirname "$0")/common.sh"

cd "$ROOT"
"$ROOT/scripts/install.sh"
as_root "$0" "$@"
"$ROOT/scripts/engines.sh" start
"$ROOT/scripts/check.sh" --lint-only

UNIT=$ROOT/build/unit.xml REPORT=$ROOT/build/junit.xml
export FORGELET_TALLY=$ROOT/build/tally
export FORGELET_JOURNAL=$ROOT/build/journal
mkdir -p "$ROOT/build"
rm -rf "$UNIT" "$REPORT" "$FORGELET_TALLY" "$FORGELET_JOURNAL"

# A person's own settings must not reach the tests; where packages come from is the machine's.
for name in URL USER PASSWORD HOST PORT DATA CONFIG; do unset "FORGELET_$name"; done

if [ $# -gt 0 ]; then
    pytest --junitxml "$REPORT" "$@"
    exit
fi
# Engines, loop devices and mounts are one machine's: what uses them runs by itself, one test after the other.
status=0
pytest -q -n 2 --junitxml "$UNIT" tests/unit || status=$?
pytest --junitxml "$REPORT" --durations=25 --ignore tests/unit || status=$?
[ "$status" -eq 0 ] || exit "$status"
python "$ROOT/scripts/judge.py" "$UNIT" "$REPORT" "$FORGELET_TALLY"
python "$ROOT/scripts/evidence.py" "$FORGELET_JOURNAL"
