#!/bin/sh
# Called once by mmdebstrap with the new root as $1, before it is packed.
set -eu
umask 022
root=$1
here=${FORGELET_LAB_SYSTEM:?}

cp -r --no-preserve=all "$here/files/." "$root/"
# "forgelet"
chroot "$root" usermod --password '$6$forgelet.lab$7oljt5I7IYUqKIWCCXAahL3sFm5wg9LOuBVSRgjnWXiYxoAa9qzQPxGHujgrOTl9hM1KyMkCOMtTePNN8u7g4/' root
mkdir -p "$root/srv/notes"
printf 'kept by hand\n' > "$root/srv/notes/readme"
printf '\nThis machine belongs to the lab.\n' >> "$root/etc/motd"

# What mmdebstrap copied from the building machine.
echo hammr-debian12 > "$root/etc/hostname"
: > "$root/etc/resolv.conf"
