#!/usr/bin/env bash
# Makes a bare Debian 12 a Forgelet machine: what `make demo` installs, by the same script, then the service as a unit.
#
# provision.sh [FOLDER]: the tree, /forgelet unless given. FORGELET_MIRROR: a Debian mirror to use in place of the machine's own.
# Runs again without harm; without systemd (a chroot, a container) it says how to start the service, and starts nothing.
set -euo pipefail

TREE=$(realpath "${1:-/forgelet}")
export DEBIAN_FRONTEND=noninteractive HOME="${HOME:-/root}"

say() { printf '... %s\n' "$*"; }

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
[ -f /etc/forgelet/environment ] || cp "$TREE/packaging/environment" /etc/forgelet/environment
if [ -n "${FORGELET_ACCEL:-}" ]; then
    sed -i '/^FORGELET_ACCEL=/d' /etc/forgelet/environment
    echo "FORGELET_ACCEL=$FORGELET_ACCEL" >> /etc/forgelet/environment
fi

if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
    systemctl enable --now docker libvirtd forgelet
    say 'OK: http://127.0.0.1:8090; forgelet doctor tells what the machine can do'
else
    say "OK: installed. No systemd here: $TREE/scripts/engines.sh start, then forgelet serve"
fi
