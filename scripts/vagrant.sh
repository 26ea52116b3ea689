#!/usr/bin/env bash
# vagrant.sh: what can be seen of vagrant/ without a machine of its own: Vagrant takes the file, and the provisioning script makes a clean
# Debian root (from this machine's apt mirrors; the Python side from this machine's pip) one whose service answers.
. "$(dirname "$0")/common.sh"

command -v vagrant > /dev/null || die 'vagrant is not installed' 'apt-get install --no-install-recommends vagrant'
"$ROOT/scripts/install.sh"
as_root "$0" "$@"

WORK=$(mktemp -d)
CLEAN=$WORK/root
trap 'rm -rf --one-file-system "$WORK"' EXIT

check_file() {
    say '... vagrant validate'
    # What a provider says of itself needs its plugin; everything else is looked at.
    (cd "$ROOT/vagrant" && VAGRANT_HOME=$WORK/vagrant VAGRANT_DOTFILE_PATH=$WORK/dot vagrant validate --ignore-provider)
}

make_root() {
    say "... a clean root, from this machine's apt mirrors"
    "$VENV/bin/python" -c 'from emulator.lab.image import source_lines; from scanner.host.mirrors import debian_mirrors
print(*source_lines("bookworm", debian_mirrors()), sep="\n")' > "$WORK/sources"
    mmdebstrap --quiet --variant=important bookworm "$CLEAN" "$WORK/sources"
    # Packages start nothing while they are installed: policy-rc.d(8) of invoke-rc.d.
    printf '#!/bin/sh\nexit 101\n' > "$CLEAN/usr/sbin/policy-rc.d"
    chmod 755 "$CLEAN/usr/sbin/policy-rc.d"
    cp --dereference /etc/resolv.conf /etc/hosts "$CLEAN/etc/"
    mkdir "$CLEAN/forgelet"
    git -C "$ROOT" ls-files -z | (cd "$ROOT" && xargs -0 cp --parents --target-directory "$CLEAN/forgelet")
}

make_wheels() {
    say '... the Python side, as wheels'
    # For Debian's own Python, as the root will have it: a newer one chooses what that cannot take.
    "$VENV/bin/pip" --python /usr/bin/python3 wheel --quiet --disable-pip-version-check --wheel-dir "$CLEAN/wheels" 'setuptools>=77' "$ROOT[dev,docs,all]" 2> "$WORK/pip.log" \
        || { tail -n 15 "$WORK/pip.log" >&2; die 'pip failed'; }
}

# inside COMMAND...: in the root, with namespaces of its own: what is started there ends with it.
inside() {
    # shellcheck disable=SC2016  # expanded by the shell inside
    unshare --mount --pid --fork --kill-child bash -c 'mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" && exec chroot "$0" "$@"' "$CLEAN" \
        env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root PIP_NO_INDEX=1 PIP_FIND_LINKS=/wheels "$@"
}

provision() {
    say '... vagrant/provision.sh, as for VirtualBox'
    inside FORGELET_HOST=0.0.0.0 /forgelet/vagrant/provision.sh /forgelet
    say '... and once more, without harm'
    inside FORGELET_HOST=0.0.0.0 /forgelet/vagrant/provision.sh /forgelet
    [ "$(grep -c '^FORGELET_TOKEN=.' "$CLEAN/etc/forgelet/environment")" -eq 1 ] || die 'the settings have no token, or several'
    inside systemd-analyze verify /etc/systemd/system/forgelet.service
}

# On the loopback here, whatever the unit would do in a machine of its own.
try_service() {
    say '... its service'
    # shellcheck disable=SC2016
    inside bash -c 'set -a; . /etc/forgelet/environment; export FORGELET_HOST=127.0.0.1 FORGELET_PORT=18090 FORGELET_URL=http://127.0.0.1:18090/api
        forgelet serve > /tmp/log 2>&1 &
        for _ in $(seq 150); do ! forgelet status 2> /dev/null || exit 0; sleep 0.2; done
        cat /tmp/log; exit 1'
}

check_file
make_root
make_wheels
provision
try_service
say 'OK: vagrant/ holds, as far as that can be seen without a virtual machine'
