#!/usr/bin/env bash
# Installs the real hammr 3.8.13, which needs Python 2.7, and prints its folder, which holds bin/hammr and bin/python.
# The Python is this machine's where there is one, else Debian 11's, unpacked (not installed) beside it. Safe to repeat and to run twice at once.
# FORGELET_PYTHON27 names another Python 2.7; `debian` means Debian 11's in any case.
. "$(dirname "$0")/common.sh"

# Ours alone, and kept by `make test` from run to run.
FOLDER=${FORGELET_HAMMR:-$DATA/cache/hammr-3.8.13}
REQUIREMENTS=$ROOT/emulator/lab/hammr-client/requirements.txt
LOG=$FOLDER.log

works() { "$1" -c 'import sys, ssl, ctypes; sys.exit(sys.version_info[:2] != (2, 7))' > /dev/null 2>&1; }

# The first Python 2.7 of this machine that runs, pyenv's included.
find_python27() {
    local one
    [ "${FORGELET_PYTHON27:-}" != debian ] || return 1
    for one in "${FORGELET_PYTHON27:-}" "$(command -v python2.7 || true)" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/2.7*/bin/python2.7; do
        if [ -n "$one" ] && works "$one"; then
            echo "$one"
            return 0
        fi
    done
    return 1
}

# unpack_python27 FOLDER: Debian 11's Python 2.7 and the libraries that Debian 12 no longer has, in a root of its own.
unpack_python27() {
    local mirror
    mirror=$(cd "$ROOT" && "$VENV/bin/python" -c 'from scanner.host.mirrors import debian_mirrors; print(debian_mirrors().archive)')
    "$ROOT/scripts/install.sh" --packages mmdebstrap gcc libc6-dev libxml2-dev libxslt1-dev zlib1g-dev
    mmdebstrap --variant=extract --include=python2.7,libpython2.7-dev,libssl1.1,libffi7 bullseye "$1/root" "$mirror"
    mkdir "$1/lib"
    cp -a "$1/root"/usr/lib/x86_64-linux-gnu/lib{ssl.so.1.1,crypto.so.1.1,ffi.so.7}* "$1/lib/"
    # Python's headers only: the C library's are this machine's.
    mkdir -p "$1/python27/include/x86_64-linux-gnu"
    mv "$1/root/usr/include/python2.7" "$1/python27/include/"
    mv "$1/root/usr/include/x86_64-linux-gnu/python2.7" "$1/python27/include/x86_64-linux-gnu/"
    mv "$1/root/usr/bin" "$1/root/usr/lib" "$1/python27/"
    rm -rf "$1/root" "$1/python27/lib/x86_64-linux-gnu"/lib*.so*
}

# launcher FILE COMMAND...: what is unpacked finds its own libraries, and nothing of the user's Python gets in.
launcher() {
    local file=$1
    shift
    cat > "$file" << END
#!/bin/sh
unset PYTHONHOME PYTHONPATH
export PYTHONNOUSERSITE=1 PYTHONDONTWRITEBYTECODE=1 LD_LIBRARY_PATH="$FOLDER/lib\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}"
exec $* "\$@"
END
    chmod +x "$file"
}

make_hammr() {
    local python27
    rm -rf "$FOLDER"
    mkdir -p "$FOLDER/bin"
    if ! python27=$(find_python27); then
        say "... unpacking Debian 11's Python 2.7"
        unpack_python27 "$FOLDER"
        python27=$FOLDER/python27/bin/python2.7
        export C_INCLUDE_PATH=$FOLDER/python27/include/python2.7:$FOLDER/python27/include:$FOLDER/python27/include/x86_64-linux-gnu
    fi
    export LD_LIBRARY_PATH=$FOLDER/lib PYTHONNOUSERSITE=1
    say "... installing hammr 3.8.13 for $python27"
    "$VENV/bin/python" -m pip install --disable-pip-version-check --no-input --quiet --target "$FOLDER/tools" 'virtualenv<20.22'
    PYTHONPATH=$FOLDER/tools "$VENV/bin/python" -m virtualenv --quiet --no-periodic-update --python "$python27" "$FOLDER/env"
    if ! install_hammr; then
        # lxml and pycrypto are compiled where no wheel is at hand.
        "$ROOT/scripts/install.sh" --packages gcc libc6-dev libxml2-dev libxslt1-dev zlib1g-dev
        install_hammr
    fi
    rm -rf "$FOLDER/tools"
    # The client makes a million objects at each start, of which nothing can be given back: to look for that takes half of the time.
    echo 'import gc; gc.set_threshold(1000000)' > "$("$FOLDER/env/bin/python" -c 'import pyxb, os; print(os.path.dirname(os.path.dirname(pyxb.__file__)))')/seldom.pth"
    launcher "$FOLDER/bin/python" "$FOLDER/env/bin/python"
    launcher "$FOLDER/bin/hammr" "$FOLDER/env/bin/python" "$FOLDER/env/bin/hammr"
    "$FOLDER/bin/python" -c 'import uforge.objects.uforge'
    fingerprint > "$FOLDER/.installed"
}

# lxml's two big files take minutes to be optimized, and hammr would not be the faster for it.
install_hammr() { CFLAGS='-O0 -g0' "$FOLDER/env/bin/python" -m pip install --disable-pip-version-check --no-input --no-deps --requirement "$REQUIREMENTS"; }

fingerprint() { { cat "$REQUIREMENTS"; echo "${FORGELET_PYTHON27:-} $FOLDER"; } | sha256sum; }

mkdir -p "$(dirname "$FOLDER")"
exec 9> "$FOLDER.lock"
flock 9
if [ "$(fingerprint)" != "$(cat "$FOLDER/.installed" 2> /dev/null)" ]; then
    # A subshell with its own `set -e`: it must not be part of a condition.
    set +e
    (set -e; make_hammr) > "$LOG" 2>&1 9>&-
    status=$?
    set -e
    [ "$status" -eq 0 ] || { tail -n 15 "$LOG" >&2; die "hammr could not be installed; the whole story is in $LOG" "mend it, then scripts/hammr.sh"; }
fi
echo "$FOLDER"
