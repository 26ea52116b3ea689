"""The head of a report: the machine, its accounts, its sources, its services."""

from __future__ import annotations

import socket
import sys

import pytest

from scanner.agent import livenetwork, system
from scanner.report import BlindSpot


def head(machine):
    return machine.scan().head


def test_the_distribution_is_read_from_os_release(machine):
    machine.file("/etc/os-release", b'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\n# c\n')
    machine.package("dpkg")
    found = head(machine).system
    assert (found.distribution, found.version, found.codename) == ("Debian", "12", "bookworm")
    assert (found.package_arch, found.arch) == ("amd64", "x86_64")
    assert found.os_release["PRETTY_NAME"] == "Debian GNU/Linux 12 (bookworm)"


def test_what_is_not_there_is_empty_not_wrong(machine):
    found = head(machine).system
    assert (found.distribution, found.hostname, found.init, found.timezone, found.locale, found.kernel) == ("", "", "", "", "", "")


def test_hostname_locale_timezone_and_kernel(machine):
    machine.file("/etc/hostname", b"web1\n")
    machine.file("/etc/default/locale", b'LANG="de_DE.UTF-8"\n')
    machine.at("/etc/localtime").symlink_to("/usr/share/zoneinfo/Europe/Paris")
    machine.at("/usr/lib/modules/6.1.0-9-amd64").mkdir(parents=True)
    found = head(machine).system
    assert (found.hostname, found.locale, found.timezone, found.kernel) == ("web1", "de_DE.UTF-8", "Europe/Paris", "6.1.0-9-amd64")


@pytest.mark.parametrize(("target", "init"), [("../lib/systemd/systemd", "systemd"), ("/usr/bin/busybox", "busybox")])
def test_init_is_what_sbin_init_leads_to(machine, target, init):
    machine.file("/usr/lib/systemd/systemd")
    machine.file("/usr/bin/busybox")
    machine.at("/usr/sbin").mkdir()
    machine.at("/sbin").symlink_to("usr/sbin")
    machine.at("/usr/sbin/init").symlink_to(target)
    assert head(machine).system.init == init


def test_a_link_to_an_init_that_is_not_there_is_none(machine):
    machine.at("/sbin").mkdir()
    machine.at("/sbin/init").symlink_to("/usr/lib/systemd/systemd")
    assert head(machine).system.init == ""


def test_password_states_are_told_and_hashes_never(machine):
    machine.file(
        "/etc/passwd",
        b"root:x:0:0:root:/root:/bin/bash\nann:x:1000:1000:Ann,,,:/home/ann:/bin/sh\nlock:x:2:2::/:/bin/sh\n"
        b"empty:x:3:3::/:/bin/sh\nnone:x:4:4::/:/bin/sh\nold:hash:5:5::/:/bin/sh\nstar:x:6:6::/:/bin/sh\n",
    )
    machine.file("/etc/shadow", b"root:$y$secret:1::::::\nann:$6$secret:1::::::\nlock:!$6$secret:1::::::\nempty::1::::::\nstar:*:1::::::\n")
    report = machine.scan()
    states = {user.name: user.password for user in report.head.users}
    assert states == {"root": "set", "ann": "set", "lock": "locked", "empty": "empty", "none": "none", "old": "set", "star": "locked"}
    assert "secret" not in (report.folder / "head.json").read_text()
    ann = report.head.users[1]
    assert (ann.uid, ann.gid, ann.gecos, ann.home, ann.shell) == (1000, 1000, "Ann,,,", "/home/ann", "/bin/sh")


def test_groups_have_their_members(machine):
    machine.file("/etc/group", b"root:x:0:\nweb:x:33:ann,bob\n")
    assert [(group.name, group.gid, group.members) for group in head(machine).groups] == [("root", 0, []), ("web", 33, ["ann", "bob"])]


def test_lines_that_make_no_sense_are_blind_spots(machine):
    machine.file("/etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n+::::::\nbroken\nnot:x:number:0:::\n")
    found = head(machine)
    assert [user.name for user in found.users] == ["root"]
    assert BlindSpot(path="/etc/passwd", reason="line 3 is not understood") in found.blind_spots
    assert len(found.blind_spots) == 3


def test_names_that_are_not_utf8_are_printable_in_the_head(machine):
    machine.file("/etc/passwd", b"j\xfcrgen:x:1000:1000:J\xfcrgen:/home/j:/bin/sh\n")
    assert head(machine).users[0].name == "j\\udcfcrgen"


def test_sources_in_both_formats_are_told(machine):
    machine.file(
        "/etc/apt/sources.list",
        b"# a comment\ndeb [arch=amd64 signed-by=/k.gpg] http://deb.example/debian bookworm main contrib # note\ndeb-src http://deb.example/debian ./\n",
    )
    machine.file(
        "/etc/apt/sources.list.d/more.sources",
        b"Types: deb deb-src\n# inside\nURIs: http://a.example http://b.example\nSuites: bookworm\nComponents: main\nEnabled: no\nSigned-By: /k.gpg\n\n"
        b"Types: deb\nURIs: http://c.example\nSuites: stable\n",
    )
    machine.file("/etc/apt/sources.list.d/ignored.save", b"deb http://no.example x main\n")
    one, flat, off, last = head(machine).repositories
    assert (one.types, one.uris, one.suites, one.components) == (["deb"], ["http://deb.example/debian"], ["bookworm"], ["main", "contrib"])
    assert (one.options, one.file, one.enabled) == ({"arch": "amd64", "signed-by": "/k.gpg"}, "/etc/apt/sources.list", True)
    assert (flat.types, flat.suites, flat.components) == (["deb-src"], ["./"], [])
    assert (off.types, off.uris, off.enabled, off.options) == (["deb", "deb-src"], ["http://a.example", "http://b.example"], False, {"signed-by": "/k.gpg"})
    assert (last.uris, last.enabled) == (["http://c.example"], True)


UNIT = b"[Unit]\nDescription=x\n[Service]\n# ExecStart=/no\nExecStart=/usr/bin/web \\\n  --port 80\nExecStart=/usr/bin/second\n[Install]\nWantedBy=multi-user.target\n"


def services(machine):
    return {service.name: service for service in head(machine).services}


def enable(machine, name, target, wanted_by="multi-user.target.wants"):
    link = machine.at(f"/etc/systemd/system/{wanted_by}/{name}")
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(target)


def test_an_enabled_unit_with_its_command_and_who_wants_it(machine):
    machine.package("web", {"/lib/systemd/system/web.service": UNIT})
    enable(machine, "web.service", "/lib/systemd/system/web.service")
    web = services(machine)["web.service"]
    assert (web.state, web.wanted_by, web.package) == ("enabled", ["multi-user.target"], "web")
    assert (web.path, web.exec.split()) == ("/usr/lib/systemd/system/web.service", ["/usr/bin/web", "--port", "80"])


def test_states_as_systemctl_would_say_from_the_files(machine):
    units = "/usr/lib/systemd/system"
    machine.file(f"{units}/off.service", UNIT)
    machine.file(f"{units}/static.service", b"[Service]\nExecStart=/bin/true\n")
    machine.file(f"{units}/also.service", b"[Install]\nAlso=static.service\n")
    machine.file(f"{units}/masked.service", UNIT)
    machine.at("/etc/systemd/system").mkdir(parents=True)
    machine.at("/etc/systemd/system/masked.service").symlink_to("/dev/null")
    machine.at(f"{units}/other-name.service").symlink_to("off.service")
    machine.file(f"{units}/vendor.timer", b"[Timer]\nOnBootSec=1\n")
    machine.at(f"{units}/timers.target.wants").mkdir()
    machine.at(f"{units}/timers.target.wants/vendor.timer").symlink_to("../vendor.timer")
    found = services(machine)
    assert {name: unit.state for name, unit in found.items()} == {
        "off.service": "disabled",
        "static.service": "static",
        "also.service": "indirect",
        "masked.service": "masked",
        "other-name.service": "alias",
        "vendor.timer": "static",
    }
    assert found["vendor.timer"].wanted_by == ["timers.target"]


def test_an_alias_made_by_enabling_enables_the_unit(machine):
    machine.file("/usr/lib/systemd/system/ssh.service", UNIT + b"Alias=sshd.service\n")
    machine.at("/etc/systemd/system").mkdir(parents=True)
    machine.at("/etc/systemd/system/sshd.service").symlink_to("/lib/systemd/system/ssh.service")
    found = services(machine)
    assert (found["ssh.service"].state, found["sshd.service"].state) == ("enabled", "alias")


def test_a_unit_in_etc_goes_before_the_vendors(machine):
    machine.file("/usr/lib/systemd/system/web.service", UNIT)
    machine.file("/etc/systemd/system/web.service", b"[Service]\nExecStart=/opt/mine\n")
    web = services(machine)["web.service"]
    assert (web.path, web.exec, web.state) == ("/etc/systemd/system/web.service", "/opt/mine", "static")


def test_an_instance_of_a_template_is_a_row_of_its_own(machine):
    machine.file("/usr/lib/systemd/system/getty@.service", UNIT)
    enable(machine, "getty@tty1.service", "/lib/systemd/system/getty@.service", "getty.target.wants")
    found = services(machine)
    assert (found["getty@.service"].state, found["getty@tty1.service"].state) == ("enabled", "enabled")
    assert found["getty@tty1.service"].wanted_by == ["getty.target"]


def test_an_init_script_counts_where_no_unit_has_its_name(machine):
    machine.file("/etc/init.d/legacy", b"#!/bin/sh\n", 0o755)
    machine.file("/etc/init.d/web", b"#!/bin/sh\n", 0o755)
    machine.file("/etc/init.d/README", b"", 0o644)
    machine.file("/usr/lib/systemd/system/web.service", UNIT)
    machine.at("/etc/rc2.d").mkdir()
    machine.at("/etc/rc2.d/S01legacy").symlink_to("../init.d/legacy")
    found = services(machine)
    assert (found["legacy.service"].state, found["legacy.service"].exec) == ("enabled", "/etc/init.d/legacy start")
    assert found["web.service"].path.startswith("/usr/lib")
    assert "README.service" not in found


def test_resolvers_hosts_and_configured_interfaces(machine):
    machine.file("/etc/resolv.conf", b"nameserver 192.0.2.1 # first\nsearch example.org\nnameserver 192.0.2.2\n")
    machine.file("/etc/hosts", b"127.0.0.1\tlocalhost\n# c\n192.0.2.7 db   db.example\n")
    machine.file("/etc/network/interfaces", b"auto eth0\niface eth0 inet dhcp\n")
    assert head(machine).network == {
        "interfaces": ["eth0"],
        "resolvers": ["192.0.2.1", "192.0.2.2"],
        "hosts": ["127.0.0.1 localhost", "192.0.2.7 db db.example"],
        "addresses": [],
        "routes": [],
    }


def test_addresses_and_routes_of_a_running_system_are_its_kernels(tmp_path):
    net = tmp_path / "net"
    net.mkdir()
    head = "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n"
    number = {name: f"{int.from_bytes(socket.inet_aton(name), sys.byteorder):08X}" for name in ("0.0.0.0", "192.0.2.0", "192.0.2.1", "255.255.255.0")}
    rows = f"eth0 {number['0.0.0.0']} {number['192.0.2.1']} 3 0 0 0 {number['0.0.0.0']} 0 0 0\neth0 {number['192.0.2.0']} {number['0.0.0.0']} 1 0 0 0 {number['255.255.255.0']} 0 0 0\n"
    (net / "route").write_text(head + rows)
    (net / "fib_trie").write_text("Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 192.0.2.7\n        /32 host LOCAL\n     |-- 192.0.2.255\n        /32 link BROADCAST\n")
    (net / "if_inet6").write_text("20010db8000000000000000000000007 02 40 00 80     eth0\n")
    assert livenetwork.routes(bytes(tmp_path)) == ["0.0.0.0/0 eth0 via 192.0.2.1", "192.0.2.0/24 eth0"]
    assert livenetwork.addresses(bytes(tmp_path)) == ["192.0.2.7", "2001:db8::7/64 eth0"]
    assert livenetwork.addresses(bytes(tmp_path / "none")) == []


def test_a_running_root_is_told_from_a_folder():
    assert system.mounts.process_folder(b"/proc/17/root") == b"/proc/17"
    assert system.mounts.process_folder(b"/") == b"/proc/self"
    assert system.mounts.process_folder(b"/srv/root") is None
