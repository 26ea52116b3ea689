#!/usr/bin/env bash
# Installs a real Keystone and a real Glance for the tests and prints their folder, which holds bin/. Safe to repeat and to run twice at once.
. "$(dirname "$0")/common.sh"

# Ours alone, and kept by `make test` from run to run.
REQUIREMENTS=$ROOT/tests/openstack/requirements.txt
FOLDER=${FORGELET_OPENSTACK:-$DATA/cache/openstack-$(sha256sum "$REQUIREMENTS" | cut -c1-12)}
LOG=$FOLDER.log

mkdir -p "$(dirname "$FOLDER")"
exec 9> "$FOLDER.lock"
flock 9
if [ ! -e "$FOLDER/.complete" ]; then
    rm -rf "$FOLDER"
    "$VENV/bin/python" -m venv "$FOLDER" > "$LOG" 2>&1 && "$FOLDER/bin/python" -m pip install --disable-pip-version-check --no-input -r "$REQUIREMENTS" >> "$LOG" 2>&1 \
        || { tail -n 15 "$LOG" >&2; die "Keystone and Glance could not be installed; the whole story is in $LOG" 'the same command again'; }
    touch "$FOLDER/.complete"
fi
echo "$FOLDER"
