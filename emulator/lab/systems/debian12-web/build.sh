#!/bin/sh
# Makes a plain Debian look lived in. Called once by mmdebstrap with the new root as $1, before it is packed.
set -eu
umask 022
root=$1
here=${FORGELET_LAB_SYSTEM:?}
inside() { chroot "$root" "$@"; }

# A package that is in no repository: made here, installed by dpkg, so apt knows no source of it.
cp -r --no-preserve=all "$here/package" "$root/tmp/package"
chmod 0755 "$root/tmp/package/DEBIAN/postinst" "$root/tmp/package/usr/bin/press-ledger"
inside dpkg-deb --root-owner-group --build /tmp/package /tmp/press-ledger.deb
inside dpkg --install /tmp/press-ledger.deb
rm -r "$root/tmp/package" "$root/tmp/press-ledger.deb"
inside apt-mark auto bc
inside apt-mark hold nginx-light


# What the package tools were told: a pin, a source of its own with its key, a diversion, an override, an alternative by hand.
mkdir -p "$root/etc/apt/keyrings"
cp "$root/usr/share/keyrings/debian-archive-keyring.gpg" "$root/etc/apt/keyrings/press.gpg"
printf 'Enabled: no\nTypes: deb\nURIs: file:/srv/packages\nSuites: ./\nSigned-By: /etc/apt/keyrings/press.gpg\n' > "$root/etc/apt/sources.list.d/press.sources"
printf 'Package: nginx*\nPin: release n=bookworm\nPin-Priority: 900\n' > "$root/etc/apt/preferences.d/press"
inside dpkg-divert --quiet --local --rename --divert /usr/bin/bc.real --add /usr/bin/bc
printf '#!/bin/sh\nexec /usr/bin/bc.real --quiet "$@"\n' > "$root/usr/bin/bc"
chmod 0755 "$root/usr/bin/bc"
inside dpkg-statoverride --update --add root staff 0750 /usr/bin/bc.real
inside update-alternatives --quiet --install /usr/bin/ledger-page ledger-page /usr/bin/cat 20
inside update-alternatives --quiet --install /usr/bin/ledger-page ledger-page /usr/bin/tail 10
inside update-alternatives --quiet --set ledger-page /usr/bin/tail
ln -sf /usr/share/zoneinfo/Europe/Copenhagen "$root/etc/localtime"
echo Europe/Copenhagen > "$root/etc/timezone"
printf 'XKBMODEL="pc105"\nXKBLAYOUT="dk"\n' > "$root/etc/default/keyboard"

# A person with a home and a password ("forgelet"), in a group of the company and in one of Debian's.
inside groupadd --gid 1600 press
inside useradd --create-home --uid 1500 --user-group --groups press,staff --shell /bin/bash --comment 'Mira Holm,,,' \
    --password '$6$forgelet.lab$7oljt5I7IYUqKIWCCXAahL3sFm5wg9LOuBVSRgjnWXiYxoAa9qzQPxGHujgrOTl9hM1KyMkCOMtTePNN8u7g4/' mira
inside usermod --append --groups press ledger

cp -r --no-preserve=all "$here/files/." "$root/"
chmod 0755 "$root/opt/ledger/bin/ledgerd"
chmod 0600 "$root/root/x.log"
chmod 0640 "$root/var/log/app/ledger"
inside chown -R ledger:press /srv/ledger
inside chown ledger:adm /var/log/app/ledger
chmod 2775 "$root/srv/ledger/2025"

# The app is enabled as an administrator does it; the packages enabled theirs.
ln -s /etc/systemd/system/ledger.service "$root/etc/systemd/system/multi-user.target.wants/ledger.service"

# What an administrator turned off and set: a timer that is masked, a locale, a kernel parameter, a person's own cron table.
ln -s /dev/null "$root/etc/systemd/system/apt-daily.timer"
echo LANG=C.UTF-8 > "$root/etc/default/locale"
printf 'vm.swappiness = 10\n' > "$root/etc/sysctl.d/60-press.conf"
printf '5 4 * * 1 echo weekly >> $HOME/week\n' > "$root/var/spool/cron/crontabs/mira"
inside chown mira:crontab /var/spool/cron/crontabs/mira
chmod 0600 "$root/var/spool/cron/crontabs/mira"

# Changed conffiles, and a changed file that is no conffile.
sed -i 's/# server_tokens off;/server_tokens off;/' "$root/etc/nginx/nginx.conf"
sed -i 's|^\tserver_name _;|\tserver_name _;\n\n\tlocation /ledger/ {\n\t\tproxy_pass http://127.0.0.1:8081/;\n\t}|' \
    "$root/etc/nginx/sites-available/default"
grep -q 'proxy_pass' "$root/etc/nginx/sites-available/default"
printf '<!-- replaced by /var/www/html -->\n' >> "$root/usr/share/nginx/html/index.html"

# A deleted file of a package, and a file in `/` whose name begins with a dot.
rm "$root/usr/share/doc/adduser/TODO"
printf 'site=press-hall\nrack=7\n' > "$root/.forge-site"

# Names that are not UTF-8 (Latin-1, and bytes that are no text at all).
notes=$root/home/mira/notes
mkdir -p "$notes/$(printf 'd\351j\340 vu')"
printf 'un caf\351\n' > "$notes/$(printf 'caf\351.txt')"
printf 'raw\n' > "$notes/$(printf 'd\351j\340 vu')/$(printf '\377\376 bytes')"
printf 'two words, a quote and a newline\n' > "$notes/$(printf 'a "quoted"\nname')"
printf 'ls -l /srv/ledger\npress-ledger total\n' > "$root/home/mira/.bash_history"
ln -s notes/missing "$root/home/mira/dangling"
mkfifo -m 0660 "$root/srv/ledger/inbox"
inside chown -R mira:mira /home/mira
inside chown ledger:press /srv/ledger/inbox
chmod 0600 "$root/home/mira/.bash_history"

# A setuid program for one group, a program with a capability, one file under three names.
install -m 4750 "$root/usr/bin/whoami" "$root/usr/local/sbin/press-whoami"
inside chown root:press /usr/local/sbin/press-whoami
chmod 4750 "$root/usr/local/sbin/press-whoami"
install -m 0755 "$root/usr/bin/cat" "$root/usr/local/bin/ledger-cat"
inside setcap cap_dac_read_search=ep /usr/local/bin/ledger-cat
mkdir -p "$root/srv/ledger/closed"
ln "$root/srv/ledger/2025/12.csv" "$root/srv/ledger/closed/2025-12.csv"
ln "$root/srv/ledger/2025/12.csv" "$root/srv/ledger/last.csv"
inside chown ledger:press /srv/ledger/closed

# Nothing here is from today.
inside find /srv/ledger /opt/ledger /home/mira /var/log/app /root/x.log -exec touch --no-dereference --date '2026-02-03 04:05:06.789' {} +

# What mmdebstrap copied from the building machine.
echo debian12-web > "$root/etc/hostname"
: > "$root/etc/resolv.conf"
