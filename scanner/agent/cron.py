"""What cron starts: crontab(5) of the system, of packages and of users, and the scripts of cron.daily and its like."""

import stat as st
from typing import Dict, Iterator, List

from scanner.agent.tree import Root, printable

Row = Dict[str, object]
SPOOLS = (b"/var/spool/cron/crontabs", b"/var/spool/cron", b"/etc/crontabs")
"""Debian's, that of rpm systems, Alpine's (a link to its spool)."""
PERIODS = (b"hourly", b"daily", b"weekly", b"monthly")


def jobs(root: Root) -> Iterator[Row]:
    """One row a job, file by file."""
    yield from _table(root, b"/etc/crontab", "")
    for name in root.names(b"/etc/cron.d"):
        if b"." not in name:
            yield from _table(root, b"/etc/cron.d/" + name, "")
    for path, user in _users(root):
        yield from _table(root, path, user)
    for period in PERIODS:
        yield from _scripts(root, period)


def _users(root: Root) -> "List[tuple[bytes, str]]":
    found = {root.resolve(spool + b"/" + name): printable(name) for spool in SPOOLS for name in root.names(spool) if name != b"crontabs"}
    return sorted(found.items())


def _table(root: Root, path: bytes, user: str) -> Iterator[Row]:
    """Tables of the system name the user after the time; a user's own are all his."""
    for line in printable(root.read(path)).splitlines():
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        fields = 1 if line.startswith("@") else 5
        words = line.split(None, fields + (0 if user else 1))
        if len(words) == fields + (1 if user else 2) and (fields == 1 or "=" not in words[0]):
            who = user or words[fields]
            yield {"file": printable(path), "user": who, "schedule": " ".join(words[:fields]), "command": words[-1]}


def _scripts(root: Root, period: bytes) -> Iterator[Row]:
    folder = b"/etc/cron." + period
    for name in root.names(folder):
        path = folder + b"/" + name
        try:
            mode = root.lstat(root.resolve(path)).st_mode
        except OSError:
            continue
        if st.S_ISREG(mode) and mode & 0o111:
            yield {"file": printable(path), "user": "root", "schedule": printable(period), "command": printable(path)}
