#!/bin/sh
# Makes a plain Debian 11 an office's server. Called once by mmdebstrap with the new root as $1, before it is packed.
set -eu
umask 022
root=$1
here=${FORGELET_LAB_SYSTEM:?}
inside() { chroot "$root" "$@"; }

cp -r --no-preserve=all "$here/files/." "$root/"
chmod 0755 "$root/usr/local/sbin/count-orders"

# People, a team, and numbers that packages would give to somebody else.
inside groupadd --gid 1700 office
inside groupadd --gid 111 scanners
for person in ada:1601 jens:1602; do
    inside useradd --create-home --uid "${person#*:}" --user-group --groups office --shell /bin/bash "${person%:*}"
done
# "forgelet"
inside usermod --password '$6$forgelet.lab$7oljt5I7IYUqKIWCCXAahL3sFm5wg9LOuBVSRgjnWXiYxoAa9qzQPxGHujgrOTl9hM1KyMkCOMtTePNN8u7g4/' ada
inside useradd --system --uid 112 --gid scanners --no-create-home --home-dir /srv/office --shell /usr/sbin/nologin orders
inside chown -R orders:office /srv/office
chmod 2770 "$root/srv/office"
inside sqlite3 /srv/office/orders.db "CREATE TABLE orders(id INTEGER PRIMARY KEY, what TEXT); INSERT INTO orders(what) VALUES ('paper'), ('ink');"
inside chown orders:office /srv/office/orders.db
printf '5 4 * * 1 echo weekly >> $HOME/week\n' > "$root/var/spool/cron/crontabs/ada"
inside chown ada:crontab /var/spool/cron/crontabs/ada
chmod 0600 "$root/var/spool/cron/crontabs/ada"

# What the package tools know: marks, holds, a diversion, an override, an alternative that was chosen by hand, a link by hand.
inside apt-mark auto ed
inside apt-mark hold sqlite3 logrotate
inside dpkg-divert --quiet --local --rename --divert /usr/bin/ed.real --add /usr/bin/ed
printf '#!/bin/sh\nexec /usr/bin/ed.real -p: "$@"\n' > "$root/usr/bin/ed"
chmod 0755 "$root/usr/bin/ed"
inside dpkg-statoverride --update --add root office 0750 /usr/bin/sqlite3
inside update-alternatives --quiet --set editor /usr/bin/vim.tiny

# Timezone, locale, keyboard, name; a timer of the system's own that is masked, a service that is disabled.
ln -sf /usr/share/zoneinfo/Europe/Oslo "$root/etc/localtime"
echo Europe/Oslo > "$root/etc/timezone"
echo 'nb_NO.UTF-8 UTF-8' > "$root/etc/locale.gen"
inside locale-gen > /dev/null
echo 'LANG=nb_NO.UTF-8' > "$root/etc/default/locale"
sed -i 's/^XKBLAYOUT=.*/XKBLAYOUT="no"/' "$root/etc/default/keyboard"
echo debian11-office > "$root/etc/hostname"
: > "$root/etc/resolv.conf"
ln -s /dev/null "$root/etc/systemd/system/apt-daily-upgrade.timer"
inside systemctl disable rsyslog.service 2> /dev/null
