#!/bin/sh
# Makes a plain Debian 13 the home of an application. Called once by mmdebstrap with the new root as $1, before it is packed.
set -eu
umask 022
root=$1
here=${FORGELET_LAB_SYSTEM:?}
inside() { chroot "$root" "$@"; }

cp -r --no-preserve=all "$here/files/." "$root/"
inside useradd --system --uid 990 --user-group --home-dir /srv/till --shell /usr/sbin/nologin till
inside chown -R till:till /srv/till
chmod 0755 "$root/opt/till/app/till" "$root/opt/till/app/beep"
chmod 0750 "$root/srv/till"
inside python3 -m venv /opt/till/venv
# A module of the application's own, as pip would have put it there.
site=$(echo "$root"/opt/till/venv/lib/python3.*/site-packages)
mkdir "$site/tillwords"
echo 'GREETING = "the till is open"' > "$site/tillwords/__init__.py"
ln -s /etc/systemd/system/till.service "$root/etc/systemd/system/multi-user.target.wants/till.service"
inside apt-mark hold ca-certificates

# deb822, as new installations have it, in place of the one-line list; the addresses stay the building machine's.
{
    while read -r type uri suite parts; do
        [ "$type" = deb ] || continue
        printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: %s\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n\n' "$uri" "$suite" "$parts"
    done < "$root/etc/apt/sources.list"
} > "$root/etc/apt/sources.list.d/debian.sources"
rm "$root/etc/apt/sources.list"

ln -sf /usr/share/zoneinfo/Asia/Tokyo "$root/etc/localtime"
echo debian13-app > "$root/etc/hostname"
: > "$root/etc/resolv.conf"
