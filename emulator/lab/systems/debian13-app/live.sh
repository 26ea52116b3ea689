# What image layers cannot hold. Run by sh as root in the new container, once, before its services start.
set -eu
setcap cap_net_raw=ep /opt/till/app/beep
truncate --size 8M /srv/till/ring
printf 'last' | dd of=/srv/till/ring conv=notrunc bs=4096 seek=1000 status=none
chown till:till /srv/till/ring
