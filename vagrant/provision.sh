#!/usr/bin/env bash
# Makes a bare Debian 12 a Forgelet machine: what `make demo` installs, by the same script, then the service as a unit.
#
# provision.sh [FOLDER]: the tree, /forgelet unless given. FORGELET_MIRROR: a Debian mirror to use in place of the machine's own.
# FORGELET_HOST: address that the service listens on, where that is not the loopback; its control plane then has a token, which is made here.
# Runs again without harm; without systemd (a chroot, a container) it says how to start the service, and starts nothing.
set -euo pipefail

TREE=$(realpath "${1:-/forgelet}")
SETTINGS=/etc/forgelet/environment
export DEBIAN_FRONTEND=noninteractive HOME="${HOME:-/root}"

say() { printf '... %s\n' "$*"; }

# setting NAME VALUE: of the service, in place of what it was.
setting() {
    sed -i "/^$1=/d" "$SETTINGS"
    echo "$1=$2" >> "$SETTINGS"
}

[ "$(id -u)" -eq 0 ] || { echo 'error: provision.sh wants root' >&2; exit 1; }
[ -x "$TREE/scripts/install.sh" ] || { echo "error: there is no clone of Forgelet in $TREE" >&2; exit 1; }

if [ -n "${FORGELET_MIRROR:-}" ]; then
    say "the Debian mirror is $FORGELET_MIRROR"
    . /etc/os-release
    rm -f /etc/apt/sources.list.d/debian.sources
    printf 'deb %s %s main\n' "$FORGELET_MIRROR" "$VERSION_CODENAME" > /etc/apt/sources.list
fi

say 'what make demo installs'
"$TREE/scripts/install.sh"

say 'the command, for everybody'
ln -sf "$TREE/.venv/bin/forgelet" /usr/local/bin/forgelet

say 'the service, as a unit'
mkdir -p /etc/systemd/system /etc/forgelet
sed "s|@PREFIX@|$TREE/.venv|" "$TREE/packaging/forgelet.service" > /etc/systemd/system/forgelet.service
[ -f "$SETTINGS" ] || install -m 600 "$TREE/packaging/environment" "$SETTINGS"
[ -z "${FORGELET_ACCEL:-}" ] || setting FORGELET_ACCEL "$FORGELET_ACCEL"
if [ -n "${FORGELET_HOST:-}" ]; then
    setting FORGELET_HOST "$FORGELET_HOST"
    grep -q '^FORGELET_TOKEN=' "$SETTINGS" || setting FORGELET_TOKEN "$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')"
    say "what asks its control plane from outside (forgelet, /_forgelet) needs FORGELET_TOKEN of $SETTINGS"
fi

if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
    systemctl enable --now docker libvirtd forgelet
    say 'OK: http://127.0.0.1:8090; forgelet doctor tells what the machine can do'
else
    say "OK: installed. No systemd here: $TREE/scripts/engines.sh start, then forgelet serve"
fi
