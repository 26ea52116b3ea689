#!/usr/bin/env bash
# The whole chain, shown: a live system is scanned, built again as an image, booted, and proven to be the same.
. "$(dirname "$0")/service.sh"

SYSTEM=debian12-web
NAME=scanExample
SPEC=examples/openstack-builder.yml
TIMES=$ROOT/build/demo.times

cd "$ROOT"
"$ROOT/scripts/install.sh"
as_root "$0" "$@"
"$ROOT/scripts/engines.sh" start

facts() { "$VENV/bin/python" "$ROOT/scripts/demo_facts.py" "$@"; }

# step TITLE ARGUMENT...: one command of Forgelet, shown before it runs; a failure ends the demo.
step() {
    local title=$1 status=0 from
    shift
    printf '\n$ forgelet %s\n' "$*"
    from=$(date +%s.%N)
    forgelet "$@" || status=$?
    printf '%s\t%s\t%s\n' "$title" "$from" "$(date +%s.%N)" >> "$TIMES"
    [ "$status" -eq 0 ] || failed "$status" "$*"
}

failed() {
    say ''
    say "error: 'forgelet $2' ended with status $1 ($(meaning "$1"))"
    facts failure "$DATA" >&2 || say "  log:  $SERVICE_LOG"
    [ -z "$SERVICE_PID" ] || say '         (the service of the demo ends with it; make run starts one)'
    exit "$1"
}

meaning() {
    case $1 in
        1) echo 'a mistake in the request' ;;
        2) echo 'done, but something could not be read' ;;
        3) echo 'the service or an engine does not answer: forgelet doctor' ;;
        4) echo 'differences that no rule explains' ;;
        *) echo 'the job failed' ;;
    esac
}

mkdir -p "$(dirname "$TIMES")"
: > "$TIMES"
start_service
step 'live system' lab up "$SYSTEM"
step 'scan' scan run --docker "$SYSTEM" --name "$NAME" --overlay
step 'list' scan list
SCAN=$(facts scan "$NAME")
step 'build' scan build --id "$SCAN" --file "$SPEC"
IMAGE=$(facts image "$SCAN")
step 'proof' image verify --id "$IMAGE" --source "docker:$SYSTEM" --probe 'http://:80/'

printf '\nThe page, as the source container serves it now and as the booted image served it:\n'
facts page "$IMAGE" "$(forgelet lab list -o json | facts url "$SYSTEM")" || failed 4 "image verify --id $IMAGE"
facts summary "$SCAN" "$IMAGE" "$TIMES" || failed 4 "image verify --id $IMAGE"
