#!/usr/bin/env bash
# All tests, on the real engines. Fails on any skip, and unless every engine really did something.
. "$(dirname "$0")/common.sh"

cd "$ROOT"
"$ROOT/scripts/install.sh"
as_root "$0" "$@"
"$ROOT/scripts/engines.sh" start

BUILD=$ROOT/build
export FORGELET_TALLY=$BUILD/tally
export FORGELET_JOURNAL=$BUILD/journal
mkdir -p "$BUILD"
rm -rf "$BUILD"/*.xml "$BUILD"/*.log "$FORGELET_TALLY" "$FORGELET_JOURNAL"

# A person's own settings must not reach the tests; where packages come from is the machine's.
for name in URL USER PASSWORD HOST PORT DATA CONFIG; do unset "FORGELET_$name"; done

if [ $# -gt 0 ]; then
    pytest --junitxml "$BUILD/junit.xml" "$@"
    exit
fi

# Three lanes run side by side, since many tests wait: each test minds only what it made. More would take the processors from the chain, which
# is the longest.
declare -A running=()
names=()
# With job control: otherwise the shell lets what it starts in the background ignore SIGINT.
set -m
aside() {
    local name=$1
    shift
    "$@" > "$BUILD/$name.log" 2>&1 &
    running[$name]=$!
    names+=("$name")
}
suite() {
    local name=$1
    shift
    pytest --junitxml "$BUILD/$name.xml" --durations=25 -m 'not last' "$@"
}
# hammr waits most of the time, so two files of its tests run at once.
hammr_then_unit() {
    local status=0
    suite hammr -n 2 --dist loadfile tests/hammr || status=$?
    suite unit -q -n 2 tests/unit || status=$?
    return "$status"
}
engines_then_openstack() {
    local status=0
    suite engines tests/integration || status=$?
    suite openstack tests/openstack || status=$?
    return "$status"
}
# Whoever needs them first would have to wait for the whole of it.
aside peers bash -c '"$0/hammr.sh" && "$0/openstack.sh"' "$ROOT/scripts"
aside lint "$ROOT/scripts/check.sh" --lint-only
aside chain suite chain -n 2 tests/e2e
aside hammr-unit hammr_then_unit
aside engines-openstack engines_then_openstack
set +m
trap 'kill -INT -- "${running[@]/#/-}" 2> /dev/null || true' EXIT
status=0
for name in "${names[@]}"; do
    wait "${running[$name]}" || status=$?
    unset "running[$name]"
done
trap - EXIT
for name in "${names[@]}"; do
    say "... $name"
    cat "$BUILD/$name.log"
done
# What judges the answers of the whole run.
pytest -q --junitxml "$BUILD/last.xml" -m last --ignore tests/nova --ignore tests/lessons tests || status=$?
[ "$status" -eq 0 ] || exit "$status"
python "$ROOT/scripts/judge.py" "$BUILD"/*.xml "$FORGELET_TALLY"
python "$ROOT/scripts/features.py" "$BUILD"/*.xml
python "$ROOT/scripts/evidence.py" "$FORGELET_JOURNAL"
