"""Ways to break a good image of the lab's debian12-web, each so small that only a careful reader sees it. The proof must see every one.

All of them can be done to one disk at once: none touches what another one is about, and the machine still boots.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

INTRUDER = 4242


class Damage(NamedTuple):
    """What is done to the tree, and the difference that must be unexplained for it."""

    act: Callable[[Path], object]
    scope: str
    item: str
    what: str
    """A word of what differs."""


@contextmanager
def unchanged_time(place: Path) -> Iterator[None]:
    """What happens to the file in the block leaves its time as it was: a time that moved would give it away."""
    info = place.lstat()
    yield
    os.utime(place, ns=(info.st_atime_ns, info.st_mtime_ns), follow_symlinks=False)


def edit(path: str, old: bytes, new: bytes) -> Callable[[Path], None]:
    """Other contents of the same file, at the same time."""

    def act(root: Path) -> None:
        place = root / path
        with unchanged_time(place):
            text = place.read_bytes()
            assert old in text, f"{path} holds no {old!r}"
            place.write_bytes(text.replace(old, new, 1))

    return act


def flip(path: str) -> Callable[[Path], None]:
    """One bit of the first byte."""

    def act(root: Path) -> None:
        place = root / path
        with unchanged_time(place):
            text = place.read_bytes()
            place.write_bytes(bytes([text[0] ^ 1]) + text[1:])

    return act


def add(path: str, text: bytes) -> Callable[[Path], None]:
    """A file, with its folder."""

    def act(root: Path) -> None:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(text)

    return act


def program(path: str, text: bytes = b"#!/bin/sh\n", bits: int = 0o755) -> Callable[[Path], None]:
    """A file of that mode, with its folder."""

    def act(root: Path) -> None:
        add(path, text)(root)
        (root / path).chmod(bits)

    return act


def remove(path: str) -> Callable[[Path], None]:
    return lambda root: (root / path).unlink()


def mode(path: str, bits: int) -> Callable[[Path], None]:
    return lambda root: (root / path).chmod(bits)


def owner(path: str, uid: int, gid: int) -> Callable[[Path], None]:
    return lambda root: os.chown(root / path, uid, gid)


def tool(*argv: str) -> Callable[[Path], None]:
    """A tool of the system's, on the path that is its last word."""
    return lambda root: subprocess.run([*argv[:-1], str(root / argv[-1])], check=True, capture_output=True) and None


def relink(path: str, target: str) -> Callable[[Path], None]:
    def act(root: Path) -> None:
        place, info = root / path, (root / path).lstat()
        place.unlink()
        place.symlink_to(target)
        os.chown(place, info.st_uid, info.st_gid, follow_symlinks=False)
        os.utime(place, ns=(info.st_atime_ns, info.st_mtime_ns), follow_symlinks=False)

    return act


def link(path: str, target: str) -> Callable[[Path], None]:
    """A link, in the place of whatever is there."""

    def act(root: Path) -> None:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).unlink(missing_ok=True)
        (root / path).symlink_to(target)

    return act


def twin_apart(path: str) -> Callable[[Path], None]:
    """The same file as before, but no longer the same inode as its other names."""

    def act(root: Path) -> None:
        place = root / path
        subprocess.run(["cp", "--preserve=all", "--no-preserve=links", str(place), f"{place}.new"], check=True)
        Path(f"{place}.new").rename(place)

    return act


def filled(path: str) -> Callable[[Path], None]:
    """The same bytes without holes."""

    def act(root: Path) -> None:
        place = root / path
        subprocess.run(["cp", "--preserve=all", "--sparse=never", str(place), f"{place}.new"], check=True)
        Path(f"{place}.new").rename(place)

    return act


def later(path: str) -> Callable[[Path], None]:
    """A nanosecond later."""

    def act(root: Path) -> None:
        info = (root / path).stat()
        os.utime(root / path, ns=(info.st_atime_ns, info.st_mtime_ns + 1))

    return act


def node(path: str, major: int, minor: int) -> Callable[[Path], None]:
    def act(root: Path) -> None:
        place, info = root / path, (root / path).stat()
        place.unlink()
        os.mknod(place, info.st_mode, os.makedev(major, minor))
        os.chown(place, info.st_uid, info.st_gid)
        os.utime(place, ns=(info.st_atime_ns, info.st_mtime_ns))

    return act


def plain(path: str) -> Callable[[Path], None]:
    """An empty file in the place of something else."""

    def act(root: Path) -> None:
        place, info = root / path, (root / path).lstat()
        place.unlink()
        place.touch(info.st_mode & 0o777)
        os.chown(place, info.st_uid, info.st_gid)
        os.utime(place, ns=(info.st_atime_ns, info.st_mtime_ns))

    return act


def renamed(path: str, to: bytes) -> Callable[[Path], None]:
    return lambda root: (root / path).rename((root / path).parent / os.fsdecode(to))


def hostname(root: Path) -> None:
    """The machine takes its name from its own disk, against what the cloud says."""
    (root / "etc/cloud/cloud.cfg.d/99-name.cfg").write_text("preserve_hostname: true\n")
    (root / "etc/hostname").write_text("intruder\n")


def stanza(package: str, old: bytes, new: bytes) -> Callable[[Path], None]:
    """Other words in one package's part of dpkg's status."""

    def act(root: Path) -> None:
        place = root / "var/lib/dpkg/status"
        parts = place.read_bytes().split(b"\n\n")
        (number,) = [at for at, part in enumerate(parts) if part.startswith(f"Package: {package}\n".encode())]
        assert old in parts[number]
        parts[number] = parts[number].replace(old, new, 1)
        place.write_bytes(b"\n\n".join(parts))

    return act


def forgotten(package: str) -> Callable[[Path], None]:
    """dpkg does not know the package any more."""

    def act(root: Path) -> None:
        place = root / "var/lib/dpkg/status"
        parts = place.read_bytes().split(b"\n\n")
        place.write_bytes(b"\n\n".join(part for part in parts if not part.startswith(f"Package: {package}\n".encode())))

    return act


def listed(root: Path) -> None:
    """A package's own list names a file that it never brought."""
    add("etc/sudoers.d/listed", b"ALL ALL=(ALL) NOPASSWD: ALL\n")(root)
    edit("var/lib/dpkg/info/cloud-init.list", b"/.\n", b"/.\n/etc/sudoers.d/listed\n")(root)


PYCACHE = "usr/lib/python3/dist-packages/__pycache__"
WANTS = "etc/systemd/system/multi-user.target.wants"
DAMAGE: dict[str, Damage] = {
    "a word of what Forgelet tells cloud-init": Damage(
        edit("etc/cloud/cloud.cfg.d/90_forgelet.cfg", b"its name is", b"its Name is"), "files", "/etc/cloud/cloud.cfg.d/90_forgelet.cfg", "only in copy"
    ),
    "the order of names in the network file of Forgelet's": Damage(
        edit("etc/systemd/network/90-forgelet-dhcp.network", b"en* eth*", b"eth* en*"), "files", "/etc/systemd/network/90-forgelet-dhcp.network", "only in copy"
    ),
    "one bit of a file under /var/lib": Damage(flip("var/lib/ucf/hashfile"), "files", "/var/lib/ucf/hashfile", "sha256"),
    "one bit of a log's beginning": Damage(flip("var/log/app/ledger"), "files", "/var/log/app/ledger", "sha256"),
    "another story in a log of root's": Damage(add("root/x.log", b"another story\n"), "files", "/root/x.log", "sha256"),
    "one bit of a program": Damage(flip("usr/bin/getfattr"), "files", "/usr/bin/getfattr", "sha256"),
    "one bit of a program, as dpkg sees it": Damage(flip("usr/bin/chacl"), "witnesses", "dpkg --verify: /usr/bin/chacl", "content"),
    "one bit of what Forgelet added, as dpkg sees it": Damage(
        flip("usr/share/doc/grub-pc/copyright"), "witnesses", "dpkg --verify: /usr/share/doc/grub-common/copyright", "content"
    ),
    "a conffile": Damage(edit("etc/bash.bashrc", b"# System-wide", b"# system-wide"), "files", "/etc/bash.bashrc", "sha256"),
    "a maintainer script": Damage(flip("var/lib/dpkg/info/bash.postrm"), "files", "/var/lib/dpkg/info/bash.postrm", "sha256"),
    "a mode": Damage(mode("etc/nginx/nginx.conf", 0o600), "files", "/etc/nginx/nginx.conf", "mode"),
    "a folder's mode": Damage(mode("usr/local/src", 0o700), "files", "/usr/local/src", "mode"),
    "a setuid bit less": Damage(mode("usr/local/sbin/press-whoami", 0o750), "files", "/usr/local/sbin/press-whoami", "mode"),
    "a setuid bit more": Damage(mode("usr/bin/find", 0o4755), "files", "/usr/bin/find", "mode"),
    "an owner": Damage(owner("srv", INTRUDER, 0), "files", "/srv", "uid"),
    "a group": Damage(owner("opt/ledger/bin/ledgerd", 0, INTRUDER), "files", "/opt/ledger/bin/ledgerd", "gid"),
    "a capability": Damage(tool("setcap", "-r", "usr/local/bin/ledger-cat"), "files", "/usr/local/bin/ledger-cat", "xattrs"),
    "an ACL": Damage(tool("setfacl", "-b", "srv/ledger/2025/11.csv"), "files", "/srv/ledger/2025/11.csv", "xattrs"),
    "a default ACL": Damage(tool("setfacl", "-k", "srv/ledger/2025"), "files", "/srv/ledger/2025", "xattrs"),
    "an extended attribute": Damage(tool("setfattr", "-x", "user.raw", "home/mira/notes"), "files", "/home/mira/notes", "xattrs"),
    "an inode flag": Damage(tool("chattr", "+i", "etc/motd"), "files", "/etc/motd", "flags"),
    "a missing file": Damage(remove(".forge-site"), "files", "/.forge-site", "only in source"),
    "a missing file of a package": Damage(remove("usr/share/doc/base-files/copyright"), "files", "/usr/share/doc/base-files/copyright", "only in source"),
    "a missing file, as dpkg sees it": Damage(remove("usr/share/doc/bash/copyright"), "witnesses", "dpkg --verify: /usr/share/doc/bash/copyright", "missing"),
    "an extra file": Damage(add("usr/local/bin/intruder", b"#!/bin/sh\n"), "files", "/usr/local/bin/intruder", "only in copy"),
    "a lost hole": Damage(filled("srv/ledger/store.img"), "files", "/srv/ledger/store.img", "extents"),
    "a broken hardlink": Damage(twin_apart("srv/ledger/last.csv"), "files", "/srv/ledger/last.csv", "hardlink"),
    "where a link points": Damage(relink("home/mira/dangling", "notes/elsewhere"), "files", "/home/mira/dangling", "target"),
    "an alternative": Damage(relink("etc/alternatives/ledger-page", "/usr/bin/cat"), "files", "/etc/alternatives/ledger-page", "target"),
    "a nanosecond": Damage(later("opt/ledger/VERSION"), "files", "/opt/ledger/VERSION", "mtime"),
    "a type": Damage(plain("srv/ledger/inbox"), "files", "/srv/ledger/inbox", "type"),
    "a device's number": Damage(node("srv/ledger/clock", 10, 136), "files", "/srv/ledger/clock", "device"),
    "a name that is not UTF-8": Damage(renamed("home/mira/notes/caf\udce9.txt", b"caf\xe8.txt"), "files", "/home/mira/notes/caf\\udce9.txt", "only in source"),
    "a package's version": Damage(stanza("acl", b"\nVersion: ", b"\nVersion: 9:"), "packages", "acl:amd64", "version"),
    "a removed package": Damage(forgotten("bc"), "packages", "bc:amd64", "only in source"),
    "an extra package": Damage(
        stanza("attr", b"Package: attr", b"Package: intruder\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n\nPackage: attr"),
        "packages",
        "intruder:amd64",
        "only in copy",
    ),
    "a state of dpkg's": Damage(stanza("libcap2-bin", b"ok installed", b"ok half-configured"), "packages", "libcap2-bin:amd64", "status"),
    "a hold": Damage(stanza("nginx-light", b"hold ok", b"install ok"), "packages", "nginx-light:all", "hold"),
    "a mark": Damage(
        edit("var/lib/apt/extended_states", b"Package: ", b"Package: cron\nArchitecture: amd64\nAuto-Installed: 1\n\nPackage: "), "packages", "cron:amd64", "auto"
    ),
    "a disabled unit": Damage(remove(f"{WANTS}/cron.service"), "services", "cron.service", "state"),
    "an enabled unit": Damage(link(f"{WANTS}/fstrim.service", "/lib/systemd/system/fstrim.service"), "services", "fstrim.service", "wanted_by"),
    "a masked unit": Damage(link("etc/systemd/system/e2scrub_all.timer", "/dev/null"), "services", "e2scrub_all.timer", "state"),
    "a drop-in": Damage(add("etc/systemd/system/ssh.service.d/x.conf", b"[Unit]\n"), "files", "/etc/systemd/system/ssh.service.d/x.conf", "only in copy"),
    "a user's number": Damage(edit("etc/passwd", b"mira:x:1500:", b"mira:x:1501:"), "users", "mira", "uid"),
    "a user's password": Damage(edit("etc/shadow", b"mira:$6$", b"mira:$5$"), "users", "mira", "password hash"),
    "a user's shell": Damage(edit("etc/passwd", b"games:/usr/sbin/nologin", b"games:/bin/bash"), "users", "games", "shell"),
    "a member of a group": Damage(edit("etc/group", b"staff:x:50:mira", b"staff:x:50:"), "users", "group staff", "members"),
    "a group's password": Damage(edit("etc/gshadow", b"press:!:", b"press:x:"), "users", "group press", "password"),
    "subordinate ids": Damage(edit("etc/subuid", b"mira:", b"mira:1"), "users", "mira", "subordinate user ids"),
    "an intruder among the system's accounts": Damage(
        lambda root: (
            edit("etc/passwd", b"games:", b"intruder:x:998:998::/:/bin/bash\ngames:")(root),
            edit("etc/shadow", b"games:", b"intruder:$6$a$b:1:0:99999:7:::\ngames:")(root),
        ),
        "users",
        "intruder",
        "only in copy",
    ),
    "a key that opens root": Damage(add("root/.ssh/authorized_keys", b"ssh-ed25519 AAAA intruder\n"), "files", "/root/.ssh/authorized_keys", "only in copy"),
    "a rule of sudo's": Damage(add("etc/sudoers.d/intruder", b"games ALL=(ALL) NOPASSWD: ALL\n"), "files", "/etc/sudoers.d/intruder", "only in copy"),
    "a job of cron's": Damage(edit("etc/cron.d/ledger", b"*", b"0"), "files", "/etc/cron.d/ledger", "sha256"),
    "the machine's name": Damage(hostname, "system", "hostname", "value"),
    "the locale": Damage(add("etc/default/locale", b"LANG=C\n"), "files", "/etc/default/locale", "sha256"),
    "the time zone": Damage(relink("etc/localtime", "/usr/share/zoneinfo/UTC"), "files", "/etc/localtime", "target"),
    "the keyboard": Damage(edit("etc/default/keyboard", b'"dk"', b'"us"'), "system", "keyboard", "value"),
    "the file system table": Damage(lambda root: (root / "etc/fstab").open("a").write("# x\n"), "files", "/etc/fstab", "sha256"),
    "a source of packages": Damage(edit("etc/apt/sources.list.d/press.sources", b"Enabled: no", b"Enabled: 0n"), "files", "/etc/apt/sources.list.d/press.sources", "sha256"),
    "a key of packages": Damage(flip("etc/apt/keyrings/press.gpg"), "files", "/etc/apt/keyrings/press.gpg", "sha256"),
    "an override": Damage(edit("var/lib/dpkg/statoverride", b"staff", b"users"), "files", "/var/lib/dpkg/statoverride", "sha256"),
    "a diversion": Damage(edit("var/lib/dpkg/diversions", b"bc.real", b"bc.reaL"), "files", "/var/lib/dpkg/diversions", "sha256"),
    "a pin": Damage(edit("etc/apt/preferences.d/press", b"900", b"901"), "files", "/etc/apt/preferences.d/press", "sha256"),
    "a kernel parameter": Damage(edit("etc/sysctl.d/60-press.conf", b"10", b"11"), "files", "/etc/sysctl.d/60-press.conf", "sha256"),
    "an alternative's record": Damage(edit("var/lib/dpkg/alternatives/ledger-page", b"20", b"21"), "files", "/var/lib/dpkg/alternatives/ledger-page", "sha256"),
    "another architecture": Damage(add("var/lib/dpkg/arch", b"amd64\ni386\n"), "files", "/var/lib/dpkg/arch", "sha256"),
    "a trigger of dpkg's": Damage(lambda root: (root / "var/lib/dpkg/triggers/File").open("a").write("/etc/x bash\n"), "files", "/var/lib/dpkg/triggers/File", "sha256"),
    "an unknown record of dpkg's": Damage(program("var/lib/dpkg/info/intruder.postinst"), "files", "/var/lib/dpkg/info/intruder.postinst", "only in copy"),
    "a name among the hosts": Damage(edit("etc/hosts", b"localhost", b"localhost mirror.example"), "files", "/etc/hosts", "since the build"),
    "setuid on an added program": Damage(mode("usr/bin/cloud-init", 0o4755), "files", "/usr/bin/cloud-init", "only in copy"),
    "a capability of an added program": Damage(tool("setcap", "cap_setuid+ep", "usr/bin/growpart"), "files", "/usr/bin/growpart", "only in copy"),
    "an attribute of an added file": Damage(
        tool("setfattr", "-n", "user.more", "-v", "1", "usr/share/doc/cloud-init/copyright"), "files", "/usr/share/doc/cloud-init/copyright", "only in copy"
    ),
    "an added folder's mode": Damage(mode("usr/share/doc/cloud-guest-utils", 0o777), "files", "/usr/share/doc/cloud-guest-utils", "only in copy"),
    "an added file is gone": Damage(remove("usr/share/doc/dmsetup/copyright"), "files", "/usr/share/doc/dmsetup/copyright", "gone"),
    "a maintainer script of an added package": Damage(flip("var/lib/dpkg/info/cloud-init.postrm"), "files", "/var/lib/dpkg/info/cloud-init.postrm", "only in copy"),
    "a file that an added package lists": Damage(listed, "files", "/etc/sudoers.d/listed", "only in copy"),
    "a link to an added program": Damage(link("etc/profile.d/grow.sh", "/usr/bin/growpart"), "files", "/etc/profile.d/grow.sh", "only in copy"),
    "a link that starts an added unit": Damage(
        link("etc/systemd/system/sysinit.target.wants/debug-shell.service", "/lib/systemd/system/debug-shell.service"),
        "files",
        "/etc/systemd/system/sysinit.target.wants/debug-shell.service",
        "only in copy",
    ),
    "a unit as if for a container's command": Damage(
        add("etc/systemd/system/forgelet-container.service", b"[Unit]\n"), "files", "/etc/systemd/system/forgelet-container.service", "only in copy"
    ),
    "the bootloader's menu": Damage(edit("boot/grub/grub.cfg", b"### BEGIN", b"### Begin"), "files", "/boot/grub/grub.cfg", "only in copy"),
    "setuid beside the kernel": Damage(program("boot/sh", bits=0o4755), "files", "/boot/sh", "only in copy"),
    "a script that cloud-init runs": Damage(program("var/lib/cloud/scripts/per-boot/intruder.sh"), "files", "/var/lib/cloud/scripts/per-boot/intruder.sh", "only in copy"),
    "what cloud-init's package would tell it": Damage(add("etc/cloud/cloud.cfg.d/90_dpkg.cfg", b"# another story\n"), "files", "/etc/cloud/cloud.cfg.d/90_dpkg.cfg", "only in copy"),
    "somebody who lingers": Damage(add("var/lib/systemd/linger/ghost", b""), "files", "/var/lib/systemd/linger/ghost", "only in copy"),
    "setuid among the backups": Damage(program("var/backups/dpkg.status.9", bits=0o4755), "files", "/var/backups/dpkg.status.9", "only in copy"),
    "a backup of nobody's": Damage(add("var/backups/own.sql", b"x\n"), "files", "/var/backups/own.sql", "only in copy"),
    "setuid among byte code": Damage(program(f"{PYCACHE}/sh.cpython-311.pyc", bits=0o4755), "files", f"/{PYCACHE}/sh.cpython-311.pyc", "only in copy"),
    "a kind of file": Damage(add("usr/share/mime/packages/intruder.xml", b"<x/>\n"), "files", "/usr/share/mime/packages/intruder.xml", "only in copy"),
    "a second root in the shadow": Damage(edit("etc/shadow", b"root:", b"root::1:0:99999:7:::\nroot:"), "users", "root", "password hash"),
    "a first line of an account that is root": Damage(edit("etc/passwd", b"irc:x:39", b"irc:x:0:0::/:/bin/bash\nirc:x:39"), "users", "irc", "uid"),
    "a locked account in root's group": Damage(edit("etc/passwd", b"list:x:38", b"svc:*:991:0::/root:/usr/sbin/nologin\nlist:x:38"), "users", "svc", "only in copy"),
    "a group twice": Damage(edit("etc/group", b"irc:x:39:", b"irc:x:39:mira\nirc:x:39:"), "users", "group irc", "only in copy"),
    "a group more, with a member": Damage(edit("etc/group", b"games:x:60:", b"docker:x:990:mira\ngames:x:60:"), "users", "group docker", "only in copy"),
    "who administers a group": Damage(edit("etc/gshadow", b"irc:", b"irc:*:mira:mira\nirc:"), "users", "group irc", "administrators"),
    "more subordinate ids": Damage(edit("etc/subgid", b"mira:", b"mira:0:65536\nmira:"), "users", "mira", "subordinate group ids"),
    "what sshd is told": Damage(edit("etc/ssh/sshd_config", b"# This is the sshd", b"# this is the sshd"), "files", "/etc/ssh/sshd_config", "sha256"),
}


def damage_everything(root: Path) -> None:
    """Every damage at once."""
    assert shutil.which("chattr"), "e2fsprogs"
    for name, one in DAMAGE.items():
        try:
            one.act(root)
        except Exception as error:
            raise AssertionError(f"'{name}' could not be done: {error}") from error


def found(one: Damage, unexplained: list[dict[str, str]]) -> bool:
    """Whether the difference that must be there is among these."""
    return any((row["scope"], row["item"]) == (one.scope, one.item) and one.what in row["what"] for row in unexplained)


def is_about_damage(row: dict[str, str]) -> bool:
    """Whether an unexplained difference comes of some damage: the thing itself, its folder's time, the same seen by another witness or scope."""
    about = {one.item.removeprefix("dpkg --verify: ") for one in DAMAGE.values()}
    item = row["item"].removeprefix("dpkg --verify: ")
    return item in about | ALSO or any(other.startswith(f"{item.rstrip('/')}/") for other in about | ALSO)


ALSO = frozenset(
    {
        "/etc/cloud/cloud.cfg.d/99-name.cfg",
        "/home/mira/notes/caf\\udce8.txt",
        f"/{WANTS}/cron.service",
        f"/{WANTS}/fstrim.service",
        "/etc/systemd/system/e2scrub_all.timer",
        "/usr/bin/chacl",
        "/etc/subuid",
        "/etc/default/keyboard",
        "/usr/share/doc/grub-common/copyright",
        "group intruder",
        "debug-shell.service",
        "forgelet-container.service",
        "/var/lib/dpkg/info/cloud-init.list",
        *(f"/etc/{name}" for name in ("passwd", "group", "shadow", "gshadow", "subgid", "hostname")),
        "/var/lib/dpkg/status",
        "/var/lib/apt/extended_states",
        "/usr/bin/bc.reaL",
        "image.qcow2",
        "timezone",
        "locale",
    }
)
"""What a damage shows in besides."""
