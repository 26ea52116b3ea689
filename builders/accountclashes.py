"""Which numbers and names of the source's accounts added packages would take for their own."""

from __future__ import annotations

from collections.abc import Iterator

from scanner.report import ScanReport

USERS = {"root": 0, "daemon": 1, "bin": 2, "sys": 3, "sync": 4, "games": 5, "man": 6, "lp": 7, "mail": 8, "news": 9, "uucp": 10, "proxy": 13, "www-data": 33, "backup": 34, "list": 38, "irc": 39, "nobody": 65534}
GROUPS = {"root": 0, "daemon": 1, "bin": 2, "sys": 3, "adm": 4, "tty": 5, "disk": 6, "lp": 7, "mail": 8, "news": 9, "uucp": 10, "man": 12, "proxy": 13, "kmem": 15, "dialout": 20, "fax": 21, "voice": 22, "cdrom": 24, "floppy": 25, "tape": 26, "sudo": 27, "audio": 29, "dip": 30, "www-data": 33, "backup": 34, "operator": 37, "list": 38, "irc": 39, "src": 40, "shadow": 42, "utmp": 43, "video": 44, "sasl": 45, "plugdev": 46, "staff": 50, "games": 60, "users": 100, "nogroup": 65534}
"""The fixed numbers of every Debian system. Source: base-passwd's `passwd.master` and `group.master` (Debian policy 9.2.2)."""

MADE = {
    "messagebus": "dbus",
    "systemd-network": "systemd",
    "systemd-resolve": "systemd-resolved",
    "systemd-timesync": "systemd-timesyncd",
    "systemd-journal": "systemd",
    "input": "udev",
    "sgx": "udev",
    "kvm": "udev",
    "render": "udev",
    "netdev": "cloud-init",
}
"""Accounts that the packages of the closed list make for themselves -> the package."""
_DYNAMIC = range(100, 1000)
"""Debian policy 9.2.2: what such accounts get."""


def clashes(head: ScanReport) -> Iterator[str]:
    """One line each, in words: what clashes and how the build resolves it (`builders/accounts.py`: the source's numbers win)."""
    yield from _kind("user", {row.name: row.uid for row in head.users}, USERS)
    yield from _kind("group", {row.name: row.gid for row in head.groups}, GROUPS)

def _kind(kind: str, ours: dict[str, int], fixed: dict[str, int]) -> Iterator[str]:
    owners = {number: name for name, number in fixed.items()}
    for name, number in ours.items():
        if name in fixed and number != fixed[name]:
            yield f"{kind} {name} is {number} on the source and {fixed[name]} on every new system: the source's number is kept"
        elif name not in fixed and number in owners and owners[number] not in ours:
            yield f"{kind} {name} has {number}, which is {owners[number]}'s on every new system: {owners[number]} gets another number"
        elif name in MADE and number not in _DYNAMIC:
            yield f"{kind} {name} ({number}) is what {MADE[name]} calls an account of its own: it keeps the source's number"
