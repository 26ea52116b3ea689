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

# Lanes run side by side, since many tests wait: each test minds only what it made. Within a lane they come one after the other.
declare -A running=()
names=()
reports=()
# With job control: otherwise the shell lets what it starts in the background ignore SIGINT.
set -m
aside() {
    local name=$1
    shift
    "$@" > "$BUILD/$name.log" 2>&1 &
    running[$name]=$!
    names+=("$name")
}
lane() {
    local name=$1
    shift
    aside "$name" pytest --junitxml "$BUILD/$name.xml" --durations=25 -m 'not last' "$@"
    reports+=("$BUILD/$name.xml")
}
# Whoever needs them first would have to wait for the whole of it.
aside peers bash -c '"$0/hammr.sh" && "$0/openstack.sh"' "$ROOT/scripts"
aside lint "$ROOT/scripts/check.sh" --lint-only
lane chain tests/e2e
lane hammr -n 2 --dist loadfile tests/hammr
lane openstack tests/openstack
lane engines tests/integration
lane unit -q -n 2 tests/unit
set +m
trap 'kill -INT "${running[@]}" 2> /dev/null || true' EXIT
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
python "$ROOT/scripts/judge.py" "${reports[@]}" "$BUILD/last.xml" "$FORGELET_TALLY"
python "$ROOT/scripts/features.py" "${reports[@]}" "$BUILD/last.xml"
python "$ROOT/scripts/evidence.py" "$FORGELET_JOURNAL"
