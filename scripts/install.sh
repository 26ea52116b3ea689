#!/usr/bin/env bash
# Installs what is missing, and only that: Debian packages through apt-get, the Python side in .venv.
. "$(dirname "$0")/common.sh"

STAMP=$VENV/.installed

apt_get() { DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 apt-get -qq -o Dpkg::Use-Pty=0 "$@"; }

# install_packages NAME...: those that are not installed; the lists are fetched anew only when they do not know them.
install_packages() {
    local missing=() name
    for name in "$@"; do
        dpkg-query -W -f '${db:Status-Status}\n' "$name" 2> /dev/null | grep -qx installed || missing+=("$name")
    done
    [ "${#missing[@]}" -gt 0 ] || return 0
    command -v apt-get > /dev/null || die "these packages are missing, and this is no Debian: ${missing[*]}" 'install them by hand'
    if [ "$(id -u)" -ne 0 ]; then
        say "... root's rights are needed to install: ${missing[*]}"
        as_root "$ROOT/scripts/install.sh" --packages "${missing[@]}"
    fi
    say "... installing ${missing[*]}"
    apt_get install --yes --no-install-recommends "${missing[@]}" > /dev/null 2>&1 && return 0
    say '... fetching the package lists'
    apt_get update || die 'apt-get update failed' 'mend /etc/apt, then try again'
    apt_get install --yes --no-install-recommends "${missing[@]}" > /dev/null \
        || die "apt-get could not install: ${missing[*]}" "apt-get install ${missing[*]}"
}

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; }

# The first Python that is new enough; `python3` first, so that a person's own choice holds. Not the one in .venv.
find_python() {
    local name PATH=${PATH//"$VENV/bin:"/}
    for name in python3 python3.14 python3.13 python3.12 python3.11 /usr/bin/python3; do
        if command -v "$name" > /dev/null && new_enough "$name"; then
            command -v "$name"
            return 0
        fi
    done
    return 1
}

# Everything that decides what .venv holds: the declared dependencies, the Python, and where this clone lies.
fingerprint() { { cat "$ROOT/pyproject.toml"; "$1" -c 'import sys; print(sys.version, sys.prefix)'; echo "$ROOT"; } | sha256sum; }

make_venv() {
    local python=$1 log=$ROOT/build/install.log
    "$python" -c 'import ensurepip, venv' 2> /dev/null || (install_packages python3-venv)
    "$python" -c 'import ensurepip, venv' 2> /dev/null || die "$python has no venv" "apt-get install python3-venv, or another Python"
    mkdir -p "$ROOT/build"
    say "... installing the Python side in .venv ($("$python" --version))"
    if [ ! -x "$VENV/bin/python" ] || ! "$VENV/bin/python" -c 'import pip' 2> /dev/null || ! new_enough "$VENV/bin/python"; then
        "$python" -m venv --clear "$VENV"
    fi
    "$VENV/bin/python" -m pip install --disable-pip-version-check --no-input --editable "${ROOT}[dev,docs,all]" > "$log" 2>&1 \
        || { tail -n 15 "$log" >&2; die "pip failed; the whole story is in $log" 'make clean, then the same command again'; }
    fingerprint "$python" > "$STAMP"
}

if [ "${1:-}" = --packages ]; then
    shift
    install_packages "$@"
    exit 0
fi

PYTHON=$(find_python) || { (install_packages python3 python3-venv); PYTHON=$(find_python); } \
    || die 'no Python 3.11 or newer' 'install one (Debian 12 and later have it as python3)'
PACKAGES=$("$PYTHON" "$ROOT/emulator/prerequisites.py")
# In a subshell: becoming root replaces the process.
# shellcheck disable=SC2086
(install_packages $PACKAGES)
[ "$(fingerprint "$PYTHON")" = "$(cat "$STAMP" 2> /dev/null)" ] || make_venv "$PYTHON"
