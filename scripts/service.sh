# Sourced: the service of a script. Uses the one that answers; starts one, and stops it at the end, where none does.
# shellcheck shell=bash
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

FORGELET_URL=${FORGELET_URL:-http://127.0.0.1:${FORGELET_PORT:-8090}/api}
export FORGELET_URL
SERVICE_LOG=$DATA/service.log
SERVICE_PID=

service_answers() { curl --silent --fail --max-time 5 "${FORGELET_URL%/api}/_forgelet/health"; }

start_service() {
    if service_answers > /dev/null; then
        say "... the service at $FORGELET_URL is used as it is"
        return 0
    fi
    (umask 077 && mkdir -p "$DATA")
    forgelet serve > "$SERVICE_LOG" 2>&1 &
    SERVICE_PID=$!
    trap stop_service EXIT
    until_true 30 service_up_or_ended
    service_answers > /dev/null && return 0
    tail -n 5 "$SERVICE_LOG" >&2
    die "the service did not start; its log is $SERVICE_LOG" 'another port: FORGELET_PORT=8091 make demo' 3
}

service_up_or_ended() { service_answers || ! kill -0 "$SERVICE_PID"; }

stop_service() {
    [ -n "$SERVICE_PID" ] || return 0
    kill "$SERVICE_PID" 2> /dev/null || true
    wait "$SERVICE_PID" 2> /dev/null || true
    SERVICE_PID=
}
