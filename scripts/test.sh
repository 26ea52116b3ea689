#!/usr/bin/env bash
# All tests, on the real engines. Fails on any skip, and unless every engine really did something.
. "$(dirname "$0")/common.sh"

cd "$ROOT"
"$ROOT/scripts/install.sh"
as_root "$0" "$@"
"$ROOT/scripts/engines.sh" start
"$ROOT/scripts/check.sh" --lint-only

UNIT=$ROOT/build/unit.xml CHAIN=$ROOT/build/chain.xml REPORT=$ROOT/build/junit.xml LAST=$ROOT/build/last.xml
CHAIN_LOG=$ROOT/build/chain.log
export FORGELET_TALLY=$ROOT/build/tally
export FORGELET_JOURNAL=$ROOT/build/journal
mkdir -p "$ROOT/build"
rm -rf "$UNIT" "$CHAIN" "$REPORT" "$LAST" "$CHAIN_LOG" "$FORGELET_TALLY" "$FORGELET_JOURNAL"

# A person's own settings must not reach the tests; where packages come from is the machine's.
for name in URL USER PASSWORD HOST PORT DATA CONFIG; do unset "FORGELET_$name"; done

if [ $# -gt 0 ]; then
    pytest --junitxml "$REPORT" "$@"
    exit
fi
# Unit tests need no engine. Of the others, those of the whole chain and the rest run side by side: each test minds only what it made, and
# many wait. Within a lane they come one after the other. What judges the answers of the whole run comes last.
status=0
pytest -q -n 2 --junitxml "$UNIT" tests/unit || status=$?
# With job control: otherwise the shell lets what it starts in the background ignore SIGINT.
set -m
pytest --junitxml "$CHAIN" --durations=25 tests/e2e > "$CHAIN_LOG" 2>&1 &
chain=$!
set +m
trap 'kill -INT "$chain" 2> /dev/null || true' EXIT
pytest --junitxml "$REPORT" --durations=25 -m 'not last' --ignore tests/unit --ignore tests/e2e --ignore tests/nova --ignore tests/lessons || status=$?
wait "$chain" || status=$?
trap - EXIT
cat "$CHAIN_LOG"
pytest -q --junitxml "$LAST" -m last --ignore tests/nova --ignore tests/lessons tests || status=$?
[ "$status" -eq 0 ] || exit "$status"
python "$ROOT/scripts/judge.py" "$UNIT" "$CHAIN" "$REPORT" "$LAST" "$FORGELET_TALLY"
python "$ROOT/scripts/features.py" "$UNIT" "$CHAIN" "$REPORT" "$LAST"
python "$ROOT/scripts/evidence.py" "$FORGELET_JOURNAL"
