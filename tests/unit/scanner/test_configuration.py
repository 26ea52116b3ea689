"""How a machine is set up: every kind of row, from fabricated files, through the wire into the report."""

from __future__ import annotations

import base64
import hashlib

import pytest
from support import rpmdb

from scanner.configuration import Configuration


def found(machine) -> Configuration:
    report = machine.scan()
    assert [spot for spot in report.head.blind_spots if "not understood" in spot.reason] == []
    return report.head.configuration


def key_packet(old: bool = True) -> tuple[bytes, str]:
    """A version 4 public key with a user ID, and its fingerprint."""
    body = b"\x04\x65\x00\x00\x00\x01" + b"\x00\x08\xc5" + b"\x00\x02\x03"
    name = b"Archive <a@example>"
    packets = bytes([0x99]) + len(body).to_bytes(2, "big") + body + bytes([0xB4, len(name)]) + name
    if not old:
        packets = bytes([0xC6, len(body)]) + body + bytes([0xCD, len(name)]) + name
    return packets, hashlib.sha1(b"\x99" + len(body).to_bytes(2, "big") + body).hexdigest().upper()


@pytest.mark.parametrize("old", [True, False])
def test_keys_of_the_sources_are_told_with_their_fingerprints(machine, old):
    packets, fingerprint = key_packet(old)
    armoured = b"-----BEGIN PGP PUBLIC KEY BLOCK-----\nVersion: x\n\n" + base64.b64encode(packets) + b"\n=abcd\n-----END PGP PUBLIC KEY BLOCK-----\n"
    machine.file("/etc/apt/trusted.gpg.d/a.gpg", packets)
    machine.file("/opt/keys/b.asc", armoured)
    machine.file("/etc/apt/sources.list", b"deb [signed-by=/opt/keys/b.asc] http://deb.example/ stable main\n")
    machine.file("/etc/apk/keys/c.rsa.pub", b"-----BEGIN PUBLIC KEY-----\n")
    one, two, three = found(machine).keys
    assert (one.manager, one.path, one.fingerprints, one.names) == ("apt", "/etc/apt/trusted.gpg.d/a.gpg", [fingerprint], ["Archive <a@example>"])
    assert (three.path, three.fingerprints, three.sha256) == ("/opt/keys/b.asc", [fingerprint], hashlib.sha256(armoured).hexdigest())
    assert (two.manager, two.fingerprints) == ("apk", [])


def test_keys_in_rpms_database_are_told(machine):
    packets, fingerprint = key_packet()
    armoured = b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n" + base64.b64encode(packets) + b"\n-----END PGP PUBLIC KEY BLOCK-----\n"
    rpmdb.write(machine.root, [rpmdb.header("gpg-pubkey", tags={1001: b"deadbeef", 1002: b"65000000", 1005: armoured})])
    (key,) = found(machine).keys
    assert (key.manager, key.path, key.fingerprints) == ("rpm", "rpmdb:gpg-pubkey-deadbeef-65000000", [fingerprint])


def test_what_dpkg_apt_and_debconf_were_told(machine):
    machine.file("/var/lib/dpkg/diversions", b"/usr/bin/tool\n/usr/bin/tool.distrib\nwrapper\n")
    machine.file("/var/lib/dpkg/statoverride", b"root web 4750 /usr/bin/a tool\n")
    machine.file("/var/lib/dpkg/alternatives/editor", b"manual\n/usr/bin/editor\neditor.1\n/usr/share/man/editor.1\n\n/bin/nano\n40\n/man/nano.1\n/bin/vi\n30\n\n\n")
    machine.at("/etc/alternatives").mkdir()
    machine.at("/etc/alternatives/editor").symlink_to("/bin/vi")
    machine.file("/etc/apt/preferences.d/local", b"Package: nginx\nPin: version 1.2*\nPin-Priority: 1001\n\nPackage: *\nPin: release a=x\nPin-Priority: -1\n")
    machine.file("/etc/apt/preferences.d/ignored.bak", b"Package: x\nPin: y\nPin-Priority: 1\n")
    machine.file("/var/cache/debconf/templates.dat", b"Name: tool/port\nType: string\n\nName: tool/pw\nType: password\n\n")
    machine.file("/var/cache/debconf/config.dat", b"Name: tool/port\nTemplate: tool/port\nValue: 80\nOwners: tool, other\nFlags: seen\n\n")
    machine.file("/var/cache/debconf/passwords.dat", b"Name: tool/pw\nTemplate: tool/pw\nValue: hunter2\nOwners: tool\n\n")
    told = found(machine)
    assert [(one.path, one.to, one.package) for one in told.diversions] == [("/usr/bin/tool", "/usr/bin/tool.distrib", "wrapper")]
    assert [(one.path, one.user, one.group, one.mode) for one in told.statoverrides] == [("/usr/bin/a tool", "root", "web", "4750")]
    (editor,) = told.alternatives
    assert (editor.name, editor.link, editor.value, editor.mode, editor.choices) == ("editor", "/usr/bin/editor", "/bin/vi", "manual", ["/bin/nano", "/bin/vi"])
    assert [(one.package, one.pin, one.priority) for one in told.pins] == [("nginx", "version 1.2*", 1001), ("*", "release a=x", -1)]
    port, password = told.debconf
    assert (port.name, port.type, port.value, port.owners, port.seen) == ("tool/port", "string", "80", ["tool", "other"], True)
    assert (password.name, password.type, password.value) == ("tool/pw", "password", "")


def test_sources_of_rpm_and_apk_are_told_without_their_passwords(machine):
    machine.file(
        "/etc/yum.repos.d/base.repo",
        b"[main]\nx=1\n[baseos]\nname=Base\nbaseurl=http://a.example/os\n  http://b.example/os\ngpgcheck=1\npassword=hunter2\n[off]\nmirrorlist=http://m.example\nenabled=0\n",
    )
    machine.file("/etc/zypp/repos.d/oss.repo", b"[oss]\nbaseurl=http://z.example\nautorefresh=1\ntype=rpm-md\n")
    machine.file("/etc/apk/repositories", b"# c\nhttp://k.example/main\n@edge http://k.example/edge\n")
    base, off, oss, main, edge = machine.scan().head.repositories
    assert (base.manager, base.components, base.uris) == ("yum", ["baseos"], ["http://a.example/os", "http://b.example/os"])
    assert (base.options["password"], base.options["gpgcheck"], base.enabled) == ("***", "1", True)
    assert (off.enabled, off.options) == (False, {"mirrorlist": "http://m.example"})
    assert (oss.manager, oss.types) == ("zypp", ["rpm-md"])
    assert (main.manager, main.uris, edge.options) == ("apk", ["http://k.example/main"], {"tag": "edge"})


def test_language_packages_are_found_wherever_they_are_installed(machine):
    site = "/opt/app/lib/python3.11/site-packages"
    machine.file(f"{site}/flask-3.0.dist-info/METADATA", b"Metadata-Version: 2.1\nName: Flask\nVersion: 3.0\n\nName: not this\n")
    machine.package("python3-old", {"/usr/lib/python3/dist-packages/old-1.egg-info": b"Name: old\nVersion: 1\n"})
    machine.file("/srv/web/node_modules/@scope/lib/package.json", b'{"name": "@scope/lib", "version": "1.2.3"}')
    machine.file("/srv/web/node_modules/lib/test/package.json", b'{"name": "fixture", "version": "0"}')
    machine.file("/var/lib/gems/3.1.0/specifications/rack-test-2.2.4.gemspec", b"Gem::Specification.new\n")
    machine.file("/srv/web/package.json", b'{"name": "app", "version": "9"}')
    rows = {(one.manager, one.name): one for one in found(machine).language_packages}
    assert {key: (one.version, one.root, one.package) for key, one in rows.items()} == {
        ("pip", "Flask"): ("3.0", site, None),
        ("pip", "old"): ("1", "/usr/lib/python3/dist-packages", "python3-old"),
        ("npm", "@scope/lib"): ("1.2.3", "/srv/web/node_modules", None),
        ("gem", "rack-test"): ("2.2.4", "/var/lib/gems/3.1.0", None),
    }


def test_jobs_of_cron_are_told_whoever_they_are_of(machine):
    machine.file("/etc/crontab", b"SHELL=/bin/sh\n# c\n17 * * * * root cd / && run-parts /etc/cron.hourly\n")
    machine.file("/etc/cron.d/app", b"MAILTO = x\n@reboot www-data /opt/app/start --now\n")
    machine.file("/etc/cron.d/app.dpkg-old", b"* * * * * root no\n")
    machine.file("/var/spool/cron/crontabs/ann", b"*/5 * * * * echo hi there\n@daily backup\n")
    machine.file("/etc/cron.daily/rotate", b"#!/bin/sh\n", 0o755)
    machine.file("/etc/cron.daily/README", b"", 0o644)
    assert [(one.file.rpartition("/")[2], one.user, one.schedule, one.command) for one in found(machine).cron] == [
        ("crontab", "root", "17 * * * *", "cd / && run-parts /etc/cron.hourly"),
        ("app", "www-data", "@reboot", "/opt/app/start --now"),
        ("ann", "ann", "*/5 * * * *", "echo hi there"),
        ("ann", "ann", "@daily", "backup"),
        ("rotate", "root", "daily", "/etc/cron.daily/rotate"),
    ]


def test_what_the_kernel_is_told_at_boot(machine):
    machine.file("/etc/sysctl.d/10-net.conf", b"# c\nnet/ipv4/ip_forward = 1\n-kernel.panic=10\n")
    machine.file("/usr/lib/sysctl.d/10-net.conf", b"hidden = 1\n")
    machine.file("/etc/modules-load.d/app.conf", b"br_netfilter\n; c\n")
    machine.file("/etc/modprobe.d/app.conf", b"options  loop   max_loop=8\nblacklist pcspkr\n")
    machine.file("/etc/default/grub", b'GRUB_TIMEOUT=5\nGRUB_CMDLINE_LINUX_DEFAULT="quiet splash"\n')
    assert [(one.area, one.key, one.value) for one in found(machine).settings] == [
        ("sysctl", "net.ipv4.ip_forward", "1"),
        ("sysctl", "kernel.panic", "10"),
        ("module", "br_netfilter", ""),
        ("modprobe", "options", "loop max_loop=8"),
        ("modprobe", "blacklist", "pcspkr"),
        ("cmdline", "GRUB_CMDLINE_LINUX_DEFAULT", "quiet splash"),
    ]


def test_what_is_mounted_and_what_lies_below(machine):
    machine.file("/etc/fstab", b"UUID=1 / ext4 errors=remount-ro 0 1\n# c\n/dev/sdb1 /srv/my\\040data xfs defaults\n/swapfile none swap sw 0 0\n")
    machine.file("/etc/crypttab", b"secret /dev/sdc1 none luks\n")
    machine.file(
        "/etc/lvm/backup/vg0",
        b'contents = "x"\nvg0 {\n\tid = "a"\n\tphysical_volumes {\n\t\tpv0 {\n\t\t\tdevice = "/dev/sda2"\n\t\t}\n\t}\n'
        b"\tlogical_volumes {\n\t\troot {\n\t\t\tsegment1 {\n\t\t\t}\n\t\t}\n\t}\n}\n",
    )
    told = found(machine)
    assert [(one.source, one.path, one.type, one.options) for one in told.file_systems] == [
        ("UUID=1", "/", "ext4", "errors=remount-ro"),
        ("/dev/sdb1", "/srv/my data", "xfs", "defaults"),
        ("/swapfile", "none", "swap", "sw"),
    ]
    assert [(one.area, one.key, one.value) for one in told.settings] == [
        ("crypt", "secret", "/dev/sdc1"),
        ("lvm", "vg0/pv0", "/dev/sda2"),
        ("lvm", "vg0/root", "logical"),
    ]


def test_interfaces_are_told_whichever_program_sets_them_up(machine):
    machine.file("/etc/network/interfaces", b"auto lo\niface lo inet loopback\niface eth0 inet static\n  address 192.0.2.2\n  netmask 24\n  gateway 192.0.2.1\n")
    machine.file("/etc/systemd/network/10.network", b"[Match]\nName=en*\n[Network]\nDHCP=yes\nAddress=192.0.2.3/24\nGateway=192.0.2.1\n")
    machine.file("/etc/NetworkManager/system-connections/office", b"[connection]\nid=office\ninterface-name=eth1\n[ipv4]\nmethod=manual\naddress1=192.0.2.4/24,192.0.2.1\n")
    machine.file(
        "/etc/netplan/50.yaml",
        b"network:\n  version: 2\n  ethernets:\n    eth2:\n      dhcp4: false\n      addresses:\n        - 192.0.2.5/24\n        - 2001:db8::5/64\n"
        b"      routes:\n        - to: default\n          via: 192.0.2.1\n    eth3:\n      dhcp4: true\n      addresses: [192.0.2.6/24, 192.0.2.7/24]\n",
    )
    machine.file("/etc/sysconfig/network-scripts/ifcfg-eth4", b'DEVICE="eth4"\nBOOTPROTO=none\nIPADDR=192.0.2.8\nPREFIX=24\nGATEWAY=192.0.2.1\n')
    rows = [(one.renderer, one.interface, one.dhcp, one.addresses, one.gateways) for one in found(machine).connections]
    assert rows == [
        ("ifupdown", "lo", False, [], []),
        ("ifupdown", "eth0", False, ["192.0.2.2/24"], ["192.0.2.1"]),
        ("networkd", "en*", True, ["192.0.2.3/24"], ["192.0.2.1"]),
        ("NetworkManager", "eth1", False, ["192.0.2.4/24"], ["192.0.2.1"]),
        ("netplan", "eth2", False, ["192.0.2.5/24", "2001:db8::5/64"], ["192.0.2.1"]),
        ("netplan", "eth3", True, ["192.0.2.6/24", "192.0.2.7/24"], []),
        ("ifcfg", "eth4", False, ["192.0.2.8/24"], ["192.0.2.1"]),
    ]


def test_who_may_do_what(machine):
    machine.file("/etc/selinux/config", b"# c\nSELINUX=enforcing\nSELINUXTYPE=targeted\n")
    machine.file("/etc/apparmor.d/usr.bin.man", b"profile\n")
    machine.file("/etc/apparmor.d/off", b"profile\n")
    machine.file("/etc/apparmor.d/disable/off", b"")
    machine.file("/etc/sudoers", b"Defaults env_reset\nann ALL=(ALL) \\\n  ALL\n@includedir /etc/sudoers.d\n#includedir /etc/sudoers.d\n")
    machine.file("/etc/sudoers.d/web", b"%web ALL=NOPASSWD: /bin/systemctl restart web\n")
    machine.file("/etc/sudoers.d/README.txt", b"no ALL=(ALL) ALL\n")
    told = found(machine)
    assert [(one.area, one.key, one.value) for one in told.settings] == [
        ("selinux", "SELINUX", "enforcing"),
        ("selinux", "SELINUXTYPE", "targeted"),
        ("apparmor", "off", "disabled"),
        ("apparmor", "usr.bin.man", "enforce"),
    ]
    assert [one.line for one in told.sudo] == ["Defaults env_reset", "ann ALL=(ALL) ALL", "%web ALL=NOPASSWD: /bin/systemctl restart web"]


def test_keys_that_let_people_in_are_named_and_not_told(machine):
    blob = base64.b64encode(b"\0\0\0\x0bssh-ed25519" + b"k" * 36)
    machine.file("/etc/passwd", b"ann:x:1000:1000::/home/ann:/bin/sh\n")
    machine.file("/home/ann/.ssh/authorized_keys", b'# c\nfrom="192.0.2.*",no-pty ssh-ed25519 ' + blob + b" ann at work\nssh-rsa !!! broken\n")
    report = machine.scan()
    (key,) = report.head.configuration.authorized_keys
    fingerprint = "SHA256:" + base64.b64encode(hashlib.sha256(base64.b64decode(blob)).digest()).decode().rstrip("=")
    assert (key.user, key.type, key.fingerprint, key.comment) == ("ann", "ssh-ed25519", fingerprint, "ann at work")
    assert key.options == 'from="192.0.2.*",no-pty'
    assert blob.decode() not in (report.folder / "head.json").read_text()


def test_the_place_of_authorized_keys_is_sshds(machine):
    machine.file("/etc/passwd", b"ann:x:1000:1000::/home/ann:/bin/sh\n")
    machine.file("/etc/ssh/sshd_config", b"AuthorizedKeysFile /etc/ssh/keys/%u .ssh/other\n")
    machine.file("/etc/ssh/keys/ann", b"ssh-ed25519 " + base64.b64encode(b"k" * 50) + b"\n")
    assert [one.path for one in found(machine).authorized_keys] == ["/etc/ssh/keys/ann"]


def test_a_file_that_makes_no_sense_does_not_end_the_scan(machine, monkeypatch):
    from scanner.agent import kernel

    monkeypatch.setattr(kernel, "_files", lambda root, folder: int("none"))
    machine.file("/etc/fstab", b"/dev/sda / ext4\n")
    head = machine.scan().head
    assert ["not understood to its end" in spot.reason for spot in head.blind_spots] == [True]
    assert [one.path for one in head.configuration.file_systems] == ["/"]


def test_a_timer_is_told_with_when_it_fires_and_a_unit_with_what_changes_it(machine):
    machine.file("/usr/lib/systemd/system/web@.service", b"[Service]\nExecStart=/bin/web\n[Install]\nWantedBy=multi-user.target\n")
    machine.file("/usr/lib/systemd/system/backup.timer", b"[Timer]\nOnCalendar=daily\nOnBootSec=5min\nPersistent=true\n")
    machine.file("/usr/lib/systemd/system/backup.timer.d/10-vendor.conf", b"[Timer]\n")
    machine.file("/etc/systemd/system/backup.timer.d/20-mine.conf", b"[Timer]\n")
    machine.file("/etc/systemd/system/backup.timer.d/10-vendor.conf", b"[Timer]\n")
    machine.file("/etc/systemd/system/backup.timer.d/README", b"")
    machine.file("/etc/systemd/system/web@.service.d/all.conf", b"[Service]\n")
    wants = machine.at("/etc/systemd/system/multi-user.target.wants")
    wants.mkdir()
    (wants / "web@one.service").symlink_to("/usr/lib/systemd/system/web@.service")
    services = {one.name: one for one in machine.scan().head.services}
    assert services["backup.timer"].schedule == ["OnCalendar=daily", "OnBootSec=5min"]
    folder = "/etc/systemd/system/backup.timer.d/"
    assert services["backup.timer"].dropins == [folder + "10-vendor.conf", folder + "20-mine.conf"]
    assert services["web@one.service"].dropins == ["/etc/systemd/system/web@.service.d/all.conf"]


@pytest.mark.parametrize(
    ("identity", "name"),
    [
        ("centos", "CentOS"),
        ("debian", "Debian"),
        ("fedora", "Fedora Core"),
        ("opensuse-leap", "OpenSUSE"),
        ("ol", "Oracle Linux"),
        ("rhel", "RedHat Enterprise Linux"),
        ("scientific", "Scientific Linux"),
        ("sles", "SUSE Linux Enterprise Server"),
        ("ubuntu", "Ubuntu"),
    ],
)
def test_distributions_have_the_names_that_the_client_takes(machine, identity, name):
    machine.file("/etc/os-release", f'ID="{identity}"\nNAME="{identity} Linux"\nVERSION_ID="9"\n'.encode())
    assert machine.scan().head.system.distribution == name


def test_systems_older_than_os_release_are_known(machine):
    machine.file("/etc/redhat-release", b"CentOS release 6.10 (Final)\n")
    machine.file("/etc/rpm/platform", b"x86_64-redhat-linux\n")
    system = machine.scan().head.system
    assert (system.distribution, system.version, system.arch) == ("CentOS", "6.10", "x86_64")


@pytest.mark.parametrize(
    ("path", "data", "keyboard"),
    [("/etc/default/keyboard", b'XKBLAYOUT="de"\nXKBVARIANT="nodeadkeys"\n', "de:nodeadkeys"), ("/etc/vconsole.conf", b"KEYMAP=fr\n", "fr")],
)
def test_the_keyboard_is_told(machine, path, data, keyboard):
    machine.file(path, data)
    assert machine.scan().head.system.keyboard == keyboard
