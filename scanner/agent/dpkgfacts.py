"""What an administrator told dpkg, apt and debconf beside which packages to install."""

from typing import Dict, Iterator, List, Tuple

from scanner.agent.dpkg import DIVERSIONS, STATOVERRIDE, Diversions, overrides, stanzas
from scanner.agent.tree import Root, printable

Row = Dict[str, object]
ALTERNATIVES = ((b"/var/lib/dpkg/alternatives", b"/etc/alternatives"), (b"/var/lib/alternatives", b"/etc/alternatives"))
"""Debian's, and that of rpm systems, where each group is remembered and what its links are called."""
DEBCONF = b"/var/cache/debconf/"


def facts(root: Root) -> Iterator[Tuple[str, Row]]:
    """Kind and row of each."""
    for row in _diversions(root):
        yield "diversion", row
    for row in _alternatives(root):
        yield "alternative", row
    for path, user, group, mode in overrides(root.read(STATOVERRIDE)):
        yield "statoverride", {"path": printable(path), "user": user, "group": group, "mode": mode}
    for row in _debconf(root):
        yield "debconf", row
    for row in _pins(root):
        yield "pin", row


def _diversions(root: Root) -> Iterator[Row]:
    for path, to, package in Diversions(root.read(DIVERSIONS) or b"").rows:
        yield {"path": printable(path), "to": printable(to), "package": package}


def _alternatives(root: Root) -> Iterator[Row]:
    for folder, links in ALTERNATIVES:
        for name in root.names(folder):
            lines = (root.read(folder + b"/" + name) or b"").split(b"\n")
            if len(lines) > 2 and lines[0] in (b"auto", b"manual"):
                yield {
                    "name": printable(name),
                    "link": printable(lines[1]),
                    "value": printable(root.readlink(links + b"/" + name)),
                    "mode": printable(lines[0]),
                    "choices": [printable(line) for line in _choices(lines)],
                }


def _choices(lines: List[bytes]) -> List[bytes]:
    """After the group's own lines and an empty one: for each choice its path, its priority, and a line for each slave."""
    slaves = 0
    while 2 + 2 * slaves < len(lines) and lines[2 + 2 * slaves]:
        slaves += 1
    rest = lines[3 + 2 * slaves :]
    step = 2 + slaves
    return [rest[at] for at in range(0, len(rest), step) if rest[at]]


def _debconf(root: Root) -> Iterator[Row]:
    types = {row["name"]: printable(row.get("type")) for row in stanzas(root.read(DEBCONF + b"templates.dat") or b"") if "name" in row}
    for file in (b"config.dat", b"passwords.dat"):
        for row in stanzas(root.read(DEBCONF + file) or b""):
            if "name" in row:
                kind = types.get(row.get("template", row["name"]), "")
                hidden = kind == "password" or file == b"passwords.dat"
                yield {
                    "name": printable(row["name"]),
                    "type": kind,
                    "value": "" if hidden else printable(row.get("value")),
                    "owners": [owner for owner in printable(row.get("owners")).replace(",", " ").split() if owner],
                    "seen": "seen" in printable(row.get("flags")).replace(",", " ").split(),
                }


def _pins(root: Root) -> Iterator[Row]:
    folder = b"/etc/apt/preferences.d"
    parts = [folder + b"/" + name for name in root.names(folder) if b"." not in name or name.endswith(b".pref")]
    for path in [b"/etc/apt/preferences"] + parts:
        for row in stanzas(root.read(path) or b""):
            priority = printable(row.get("pin-priority"))
            if "package" in row and priority.lstrip("+-").isdigit():
                package, pin = printable(row["package"]), printable(row.get("pin"))
                yield {"file": printable(path), "package": package, "pin": pin, "priority": int(priority)}
