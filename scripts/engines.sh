#!/usr/bin/env bash
# engines.sh start|stop|status: dockerd and libvirtd. Starts what is not running; stops only what it started.
. "$(dirname "$0")/common.sh"

STATE=$DATA/engines

docker_answers() { curl --silent --fail --max-time 5 --unix-socket /var/run/docker.sock http://localhost/_ping; }
libvirt_answers() { timeout 10 virsh --quiet --connect qemu:///system version; }
# Its socket outlives a log daemon that was killed: only a connection shows that one listens.
virtlogd_answers() { python3 -c 'import socket; socket.socket(socket.AF_UNIX).connect("/run/libvirt/virtlogd-sock")'; }
with_systemd() { [ -d /run/systemd/system ]; }

# dockerd refuses to start beside the pid file of one that was killed, as soon as that number names a process again: ours lies here,
# and goes before each start (nothing answers then). One data folder still admits one dockerd: it locks it.
DOCKER_PID=$STATE/dockerd.run

# start_daemon NAME COMMAND...: in a session of its own, its output and process id kept under the data folder.
start_daemon() {
    local name=$1
    shift
    command -v "$1" > /dev/null || die "$1 is not installed" 'scripts/install.sh'
    mkdir -p "$STATE"
    setsid "$@" > "$STATE/$name.log" 2>&1 < /dev/null &
    echo "$! $(start_of $!)" > "$STATE/$name.pid"
}

# When the process was started, in clock ticks since boot: with it, a process id that was given anew is not mistaken for ours.
start_of() { sed 's/.*) //' "/proc/$1/stat" 2> /dev/null | cut -d ' ' -f 20; }

# start NAME ANSWERS UNIT COMMAND...
start() {
    local name=$1 answers=$2 unit=$3
    shift 3
    "$answers" > /dev/null 2>&1 && return 0
    say "... starting $name"
    if with_systemd; then
        mkdir -p "$STATE"
        systemctl start "$unit"
        echo "$unit" >> "$STATE/units"
    else
        start_daemon "$name" "$@"
    fi
    until_true 60 "$answers" && return 0
    with_systemd || tail -n 5 "$STATE/$name.log" >&2
    die "$name does not answer" "$(with_systemd && echo "journalctl -u $unit" || echo "less $STATE/$name.log")" 3
}

virtlogd_runs() { with_systemd || virtlogd_answers > /dev/null 2>&1; }

# A libvirtd that is started by hand wants its log daemon beside it; systemd brings that by itself.
start_virtlogd() {
    virtlogd_runs && return 0
    say '... starting virtlogd'
    start_daemon virtlogd virtlogd
    until_true 20 virtlogd_answers || die 'virtlogd does not answer' "less $STATE/virtlogd.log" 3
}

# udev gives /dev/kvm to the group kvm; without it the node stays root's, and libvirtd, which finds KVM as root and its machines without it,
# probes QEMU anew at every call (seconds each). So it does when a chroot that shares this machine's /dev gave the node to a group of its own.
# Nothing here runs on KVM because the node is there.
share_kvm() {
    with_systemd || [ ! -c /dev/kvm ] || ! getent group kvm > /dev/null && return 0
    case "$(stat -c %a:%G /dev/kvm)" in *[67]:* | *:kvm) return 0 ;; esac
    chgrp kvm /dev/kvm
    chmod 0660 /dev/kvm
}

stop_daemon() {
    local file=$STATE/$1.pid pid started
    [ -f "$file" ] || return 0
    read -r pid started < "$file"
    if [ "$(start_of "$pid")" = "$started" ]; then
        say "... stopping $1"
        kill "$pid"
        until_true 30 gone "$pid" || kill -KILL "$pid"
    fi
    rm -f "$file"
}

gone() { [ ! -d "/proc/$1" ] || grep -q '^State:.Z' "/proc/$1/status"; }

stop_units() {
    [ -f "$STATE/units" ] || return 0
    # shellcheck disable=SC2046
    systemctl stop $(sort -u "$STATE/units")
    rm -f "$STATE/units"
}

case "${1:-}" in
    start)
        docker_answers > /dev/null 2>&1 && libvirt_answers > /dev/null 2>&1 && virtlogd_runs && exit 0
        as_root "$0" "$@"
        rm -f "$DOCKER_PID"
        start docker docker_answers docker.service dockerd --pidfile "$DOCKER_PID"
        start_virtlogd
        share_kvm
        start libvirt libvirt_answers libvirtd.service libvirtd
        ;;
    stop)
        [ -d "$STATE" ] || exit 0
        as_root "$0" "$@"
        for name in libvirt virtlogd docker; do stop_daemon "$name"; done
        stop_units
        rm -rf "$STATE"
        rmdir --ignore-fail-on-non-empty "$DATA"
        ;;
    status)
        docker_answers > /dev/null 2>&1 && echo 'docker answers' || echo 'docker does not answer'
        libvirt_answers > /dev/null 2>&1 && echo 'libvirt answers' || echo 'libvirt does not answer'
        ;;
    *) die 'usage: scripts/engines.sh start|stop|status' ;;
esac
