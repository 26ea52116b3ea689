"""What the tools above rpm remember of packages: brought in as a dependency (dnf, zypper), held at a version (dnf, yum, zypper)."""

import fnmatch
import os
from typing import Dict, List, Tuple

from scanner.agent.tree import Root, printable

HISTORY = b"/var/lib/dnf/history.sqlite"
ZYPP_AUTO = b"/var/lib/zypp/AutoInstalled"
ZYPP_LOCKS = b"/etc/zypp/locks"
VERSION_LOCKS = (b"/etc/dnf/plugins/versionlock.list", b"/etc/yum/pluginconf.d/versionlock.list")
DEPENDENCY = (1, 4)
"""libdnf's reasons of a transaction item: dependency, weak dependency."""
QUERY = "SELECT rpm.name, rpm.arch, trans_item.reason FROM trans_item JOIN rpm USING (item_id) ORDER BY trans_item.id"


class Marks:
    """Read once for all packages. Where none of these tools was used, nothing is marked."""

    def __init__(self, root: Root) -> None:
        self._reasons = _reasons(root.read(HISTORY))
        self._auto = {line.strip() for line in _lines(root, ZYPP_AUTO)}
        self._locks = [line for path in VERSION_LOCKS for line in _lines(root, path)] + _zypp_locks(root)

    def auto(self, name: str, arch: str) -> bool:
        """Whether the package came as a dependency only."""
        return name in self._auto or self._reasons.get((name, arch)) in DEPENDENCY

    def held(self, name: str, epoch: int, version: str, arch: str) -> bool:
        """Whether a lock's pattern fits one of the spellings that the tools write."""
        spellings = (
            name,
            "%s-%s" % (name, version),
            "%s-%d:%s.%s" % (name, epoch, version, arch),
            "%d:%s-%s.%s" % (epoch, name, version, arch),
        )
        return any(fnmatch.fnmatchcase(spelling, lock) for lock in self._locks for spelling in spellings)


def _lines(root: Root, path: bytes) -> List[str]:
    lines = (line.partition("#")[0].strip() for line in printable(root.read(path)).splitlines())
    return [line for line in lines if line and not line.startswith("!")]


def _zypp_locks(root: Root) -> List[str]:
    return [line.partition(":")[2].strip() for line in _lines(root, ZYPP_LOCKS) if line.startswith("solvable_name:")]


def _reasons(raw: "bytes | None") -> Dict[Tuple[str, str], int]:
    """(name, arch) -> the reason of its last transaction; empty where the history is none that is understood."""
    if not raw:
        return {}
    try:
        import sqlite3
        import tempfile
    except ImportError:
        return {}
    with tempfile.TemporaryDirectory(prefix="uforge-scan-") as scratch:
        copy = os.path.join(scratch, "history.sqlite")
        with open(copy, "wb") as out:
            out.write(raw)
        try:
            database = sqlite3.connect(copy)
            return {(str(name), str(arch)): reason for name, arch, reason in database.execute(QUERY)}
        except sqlite3.Error:
            return {}
