# What image layers cannot hold. Run by sh as root in the new container, once, before its services start.
set -eu
mkdir -p /run/sshd

setfacl -m u:mira:rw,g:staff:r,m::rw /srv/ledger/2025/11.csv
setfacl -m u:www-data:r-x /srv/ledger/2025
setfacl -d -m g:press:rwx,u:mira:rwx /srv/ledger/2025
setfattr -n user.origin -v 'press hall' /srv/ledger/2025/11.csv
setfattr -n user.raw -v 0x00ff0a22 /home/mira/notes
setcap cap_dac_read_search=ep /usr/local/bin/ledger-cat

mknod /srv/ledger/clock c 10 135
chown ledger:press /srv/ledger/clock

# 64 MiB of which three blocks hold data: the first, one in the middle, the last.
store=/srv/ledger/store.img
truncate --size 64M "$store"
printf 'PRESS1' | dd of="$store" conv=notrunc status=none
printf 'middle' | dd of="$store" conv=notrunc bs=4096 seek=5000 status=none
printf 'end' | dd of="$store" conv=notrunc bs=4096 seek=16383 status=none
chown ledger:press "$store"

touch --date '2026-02-03 04:05:06.789' "$store" /srv/ledger/2025/11.csv /srv/ledger/2025 /srv/ledger /home/mira/notes
