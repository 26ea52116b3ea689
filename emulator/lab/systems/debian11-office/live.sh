# What image layers cannot hold. Run by sh as root in the new container, once, before its services start.
set -eu
mkdir -p /run/sshd
setfacl -m u:jens:r-x /srv/office
mknod /srv/office/scanner c 10 250
mkfifo /srv/office/inbox
chown orders:scanners /srv/office/scanner /srv/office/inbox
setcap cap_net_bind_service=ep /usr/local/sbin/count-orders
ln /srv/office/README /srv/office/LESMEG
touch --date '2025-11-12 13:14:15.161718' /srv/office/README /srv/office
