# Sourced by the other scripts: where things are, how they talk, how they become root.
# shellcheck shell=bash
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
VENV=$ROOT/.venv
export HOME="${HOME:-/root}"
# shellcheck disable=SC2034  # used by the scripts that source this one
DATA=${FORGELET_DATA:-${XDG_DATA_HOME:-$HOME/.local/share}/forgelet}
export PATH=$VENV/bin:$PATH:/usr/local/sbin:/usr/sbin:/sbin

say() { printf '%s\n' "$*" >&2; }

# die MESSAGE [NEXT COMMAND]
die() {
    say "error: $1"
    [ -z "${2:-}" ] || say "  next: $2"
    exit "${3:-1}"
}

# as_root "$0" "$@": goes on as root, with this environment; a person is asked for a password only on a terminal.
as_root() {
    [ "$(id -u)" -ne 0 ] || return 0
    command -v sudo > /dev/null || die 'this needs root, and sudo is not installed' 'run the same command as root'
    [ -t 0 ] || sudo -n true 2> /dev/null || die 'this needs root, and sudo wants a password' 'sudo -v'
    exec sudo -E env "PATH=$PATH" "HOME=$HOME" bash "$@"
}

# until_true SECONDS COMMAND...: waits for a condition, tried five times a second.
until_true() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@" > /dev/null 2>&1; do
        [ "$SECONDS" -lt "$deadline" ] || return 1
        sleep 0.2
    done
}
