"""The keys that packages are verified against: apt's, rpm's and apk's."""

import hashlib
from typing import Dict, Iterable, Iterator, List, Tuple

from scanner.agent import openpgp
from scanner.agent.tree import Root, printable

Row = Dict[str, object]
FOLDERS = (
    ("apt", b"/etc/apt/trusted.gpg.d", (b".gpg", b".asc")),
    ("apt", b"/etc/apt/keyrings", (b".gpg", b".asc", b".pgp")),
    ("apt", b"/usr/share/keyrings", (b".gpg", b".asc", b".pgp")),
    ("rpm", b"/etc/pki/rpm-gpg", (b"",)),
    ("apk", b"/etc/apk/keys", (b".pub",)),
)


def keys(root: Root, repositories: Iterable[Row], imported: Iterable[Tuple[str, bytes]]) -> Iterator[Row]:
    """Every key file of the known folders, those that a source names, and the keys in rpm's database."""
    seen = set()
    for manager, path in _paths(root, repositories):
        raw = root.read(path)
        if raw is not None and path not in seen:
            seen.add(path)
            yield _row(manager, printable(path), raw)
    for name, armour in imported:
        yield _row("rpm", "rpmdb:" + name, armour)


def _paths(root: Root, repositories: Iterable[Row]) -> List[Tuple[str, bytes]]:
    found = [("apt", b"/etc/apt/trusted.gpg")]
    for manager, folder, suffixes in FOLDERS:
        found += [(manager, folder + b"/" + name) for name in root.names(folder) if name.endswith(suffixes)]
    for row in repositories:
        options = row["options"]
        assert isinstance(options, dict)
        words = str(options.get("signed-by", "")).replace(",", " ").split()
        found += [("apt", word.encode("utf-8", "surrogateescape")) for word in words if word.startswith("/")]
    return found


def _row(manager: str, path: str, raw: bytes) -> Row:
    fingerprints, names = openpgp.keys(raw)
    return {
        "manager": manager,
        "path": path,
        "sha256": hashlib.sha256(raw).hexdigest(),
        "fingerprints": fingerprints,
        "names": names,
    }
