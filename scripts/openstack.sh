#!/usr/bin/env bash
# openstack.sh [REQUIREMENTS]: installs real services of OpenStack for the tests (Keystone and Glance unless another file says more) and
# prints their folder, which holds bin/. Safe to repeat and to run twice at once.
. "$(dirname "$0")/common.sh"

# Ours alone, and kept by `make test` from run to run.
REQUIREMENTS=${1:-$ROOT/tests/openstack/requirements.txt}
FOLDER=$DATA/cache/openstack-$(sha256sum "$REQUIREMENTS" | cut -c1-12)
[ $# -gt 0 ] || FOLDER=${FORGELET_OPENSTACK:-$FOLDER}
LOG=$FOLDER.log

mkdir -p "$(dirname "$FOLDER")"
exec 9> "$FOLDER.lock"
flock 9
if [ ! -e "$FOLDER/.complete" ]; then
    rm -rf "$FOLDER"
    # The file names everything: nothing is left to find out. Most of it is never imported, and compiled when it is.
    "$VENV/bin/python" -m venv "$FOLDER" > "$LOG" 2>&1 && "$FOLDER/bin/python" -m pip install --disable-pip-version-check --no-input --no-deps --no-compile -r "$REQUIREMENTS" >> "$LOG" 2>&1 \
        || { tail -n 15 "$LOG" >&2; die "OpenStack's services could not be installed; the whole story is in $LOG" 'the same command again'; }
    touch "$FOLDER/.complete"
fi
echo "$FOLDER"
