"""How the machine is set up: every row of `scanner/configuration.py` but the language packages, which the walk finds."""

from typing import Dict, Iterable, Iterator, Tuple

from scanner.agent import connections, cron, dpkgfacts, kernel, keys, security, storage
from scanner.agent.found import Blind
from scanner.agent.tree import Root

Row = Dict[str, object]


def facts(
    root: Root, blind: Blind, repositories: Iterable[Row], users: Iterable[Row], imported: Iterable[Tuple[str, bytes]]
) -> Iterator[Tuple[str, Row]]:
    """Kind and row of each. `imported` are keys in rpm's database."""
    sources = (
        (b"/etc/apt", _named("key", keys.keys(root, repositories, imported))),
        (b"/var/lib/dpkg", dpkgfacts.facts(root)),
        (b"/etc/crontab", _named("cron", cron.jobs(root))),
        (b"/etc/sysctl.d", _named("setting", kernel.settings(root))),
        (b"/etc/fstab", storage.facts(root)),
        (b"/etc/network", _named("connection", connections.connections(root))),
        (b"/etc/sudoers", security.facts(root, users)),
    )
    for path, rows in sources:
        try:
            yield from rows
        except (OSError, ValueError, IndexError) as error:
            blind(path, "not understood to its end: %s" % error)


def _named(kind: str, rows: Iterable[Row]) -> Iterator[Tuple[str, Row]]:
    return ((kind, row) for row in rows)
