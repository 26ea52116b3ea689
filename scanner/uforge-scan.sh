#!/bin/sh
# The head of uforge-scan.bin. The scan agent is the zip archive behind it; this finds a Python that can run it.
# Ends with 126 where programs may not run in its folder, with 69 where there is no usable Python.
refuse() {
    echo "uforge-scan: $2" >&2
    [ "$verb" = session ] && rm -f -- "$0"
    exit "$1"
}
verb=$1
# hammr shows its user standard output only.
case $verb in -*) exec 2>&1 ;; esac
[ -x "$0" ] || refuse 126 "programs may not run in the folder of $0: it is mounted noexec, or the file has no x permission"
check='
import sys
if sys.version_info < (3, 6): sys.exit("it is Python %d.%d" % sys.version_info[:2])
import @MODULES@
'
found=
for name in python3 python3.14 python3.13 python3.12 python3.11 python3.10 python3.9 python3.8 python3.7 python3.6 \
    /usr/libexec/platform-python /usr/bin/python3 /usr/local/bin/python3 python; do
    python=$(command -v "$name") || continue
    lacks=$("$python" -I -S -c "$check" 2>&1) && exec "$python" -I -S "$0" "$@"
    # The last line says what is wrong: ModuleNotFoundError: No module named 'json'
    [ -n "$found" ] || found="; $python will not do: ${lacks##*
}"
done
refuse 69 "no usable Python 3.6 or newer is here$found"
