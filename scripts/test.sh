#!/usr/bin/env bash
# All tests, on the real engines. Fails on any skip, and unless every engine really did something.
. "$(dirname "$0")/common.sh"

cd "$ROOT"
"$ROOT/scripts/install.sh"
as_root "$0" "$@"
"$ROOT/scripts/engines.sh" start
"$ROOT/scripts/check.sh" --lint-only

REPORT=$ROOT/build/junit.xml
export FORGELET_TALLY=$ROOT/build/tally
export FORGELET_JOURNAL=$ROOT/build/journal
mkdir -p "$ROOT/build"
rm -rf "$REPORT" "$FORGELET_TALLY" "$FORGELET_JOURNAL"

# A person's own settings must not reach the tests; where packages come from is the machine's.
for name in URL USER PASSWORD HOST PORT DATA CONFIG; do unset "FORGELET_$name"; done

pytest --junitxml "$REPORT" "$@"
python "$ROOT/scripts/judge.py" "$REPORT" "$FORGELET_TALLY"
# Only a run of everything says what has lost its evidence.
[ "$#" -gt 0 ] || python "$ROOT/scripts/evidence.py" "$FORGELET_JOURNAL"
