#!/bin/sh
# Called once by mmdebstrap with the new root as $1, before it is packed. FORGELET_LAB_FILES: a folder with what pip's settings name;
# the settings themselves are PIP_… in the environment, for inside the root.
set -eu
umask 022
root=$1
here=${FORGELET_LAB_SYSTEM:?}

mkdir "$root/tmp/build"
cp "$here/requirements.txt" "$root/tmp/build/"
cp -r "${FORGELET_LAB_FILES:?}/." "$root/tmp/build/"
# requests takes these before what pip is told.
unset REQUESTS_CA_BUNDLE CURL_CA_BUNDLE SSL_CERT_FILE SSL_CERT_DIR
chroot "$root" sh -eu -c '
    export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp/build
    cd /tmp/build/tools
    PYTHONPATH=$(ls /tmp/build/tools/pip-*.whl) python2.7 -m pip install --no-deps --no-index --quiet ./*.whl
    python2.7 -m pip install --no-deps --no-cache-dir --quiet --requirement /tmp/build/requirements.txt
    python2.7 -m pip uninstall --quiet --yes wheel pip
    cd /
    rm -rf /tmp/build
    apt-mark -q auto python2.7-dev gcc libc6-dev libxml2-dev libxslt1-dev zlib1g-dev > /dev/null
    DEBIAN_FRONTEND=noninteractive apt-get -q -y -o APT::AutoRemove::RecommendsImportant=false autoremove --purge
    apt-get clean
    python2.7 -c "import uforge.objects.uforge, paramiko"
'
# What mmdebstrap copied from the building machine, and where its packages came from.
echo hammr > "$root/etc/hostname"
: > "$root/etc/resolv.conf"
: > "$root/etc/apt/sources.list"
rm -rf "$root/var/lib/apt/lists"/*
