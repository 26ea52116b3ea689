"""apk's database, `lib/apk/db/installed`: packages, the paths they own with owner, mode and checksum (apk-tools' `database.c`).

Lines are one letter, a colon and a value; a package ends with an empty line. Within it F: opens a folder, R: a file in the last one;
M: and a: are owner and mode of the one and the other where they are not root's and 0755 or 0644; Z: is the file's checksum.
"""

import base64
import binascii
import hashlib
from typing import Dict, List, Optional, Sequence, Set

from scanner.agent.database import Database, Finding
from scanner.agent.found import Found
from scanner.agent.shipped import Names, Shipped, judge
from scanner.agent.tree import Root, printable

INSTALLED = (b"/lib/apk/db/installed", b"/usr/lib/apk/db/installed")
WORLD = b"/etc/apk/world"
CHECKSUMS = {"Q1": "sha1", "Q2": "sha256"}
PROTECTED = b"/etc/"
"""Where apk keeps what the administrator changed (apk-protected_paths(5))."""


class Apk(Database):
    """What apk says; see `Database`."""

    def __init__(self, root: Root) -> None:
        super().__init__(root)
        self._shipped: Dict[bytes, Shipped] = {}
        raw = next((raw for raw in map(root.read, INSTALLED) if raw), b"")
        self._world = _world(root) if raw else set()
        for block in raw.split(b"\n\n"):
            self._package([(line[:1], line[2:]) for line in block.split(b"\n") if line[1:2] == b":"])

    def digests(self, path: bytes, linked: bool) -> Sequence[str]:
        shipped = self._shipped.get(path)
        return ("sha1",) if linked or (shipped and shipped.digest and shipped.digest[0] == "sha1") else ()

    def verdict(self, found: Found, owner: str) -> Finding:
        shipped = self._shipped[found.path]
        if found.kind == "symlink" and found.target is not None and shipped.kind != "directory":
            return self._link(found, shipped)
        if not shipped.kind and found.kind != "file":
            return "managed-changed", "type-differs", {"type": "file"}
        return judge(found, shipped, Names({}, {}))

    def _link(self, found: Found, shipped: Shipped) -> Finding:
        """A link's checksum is that of where it points; of its mode apk knows nothing."""
        if shipped.digest and hashlib.new(shipped.digest[0], found.target or b"").hexdigest() == shipped.digest[1]:
            return judge(found, Shipped("", None, shipped.user, shipped.group), Names({}, {}))
        return ("conffile-changed" if shipped.config else "managed-changed"), "target-differs", _digest(shipped)

    def missing_kind(self, path: bytes) -> str:
        shipped = self._shipped.get(path)
        return (shipped.kind if shipped else "") or super().missing_kind(path)

    def _package(self, lines: "List[tuple[bytes, bytes]]") -> None:
        fields = {key: printable(value) for key, value in reversed(lines)}
        name = fields.get(b"P", "")
        if not name:
            return
        self.packages.append(_row(fields, name not in self._world))
        folder = b""
        shipped: Optional[Shipped] = None
        for key, value in lines:
            if key == b"F":
                folder = b"/" + value.strip(b"/")
                shipped = self._own(name, folder, Shipped("directory", 0o755, "#0", "#0"))
            elif key == b"R":
                path = folder.rstrip(b"/") + b"/" + value
                shipped = self._own(name, path, Shipped("", 0o644, "#0", "#0"))
                shipped.config = path.startswith(PROTECTED)
            elif shipped is not None and key in (b"a", b"M"):
                _owned(shipped, printable(value))
            elif shipped is not None and key == b"Z":
                _checksum(shipped, printable(value))

    def _own(self, label: str, listed: bytes, shipped: Shipped) -> Shipped:
        path = self._root.place(listed) if listed != b"/" else b"/"
        self._claim(label, path)
        self._expect(listed, path)
        return self._shipped.setdefault(path, shipped) if shipped.kind == "directory" else self._replace(path, label, shipped)

    def _replace(self, path: bytes, label: str, shipped: Shipped) -> Shipped:
        self._shipped[path], self.owner[path] = shipped, label
        return shipped


def _digest(shipped: Shipped) -> Dict[str, str]:
    return {"digest": "%s:%s" % shipped.digest} if shipped.digest else {}


def _owned(shipped: Shipped, value: str) -> None:
    words = value.split(":")
    if len(words) >= 3 and all(word.isdigit() for word in words[:2]) and not set(words[2]) - set("01234567"):
        shipped.user, shipped.group, shipped.mode = "#" + words[0], "#" + words[1], int(words[2] or "0", 8)


def _checksum(shipped: Shipped, value: str) -> None:
    algorithm = CHECKSUMS.get(value[:2])
    if algorithm:
        try:
            shipped.digest = algorithm, base64.b64decode(value[2:]).hex()
        except (binascii.Error, ValueError):
            shipped.digest = None


def _world(root: Root) -> Set[str]:
    words = printable(root.read(WORLD)).split()
    cuts = ("<", ">", "=", "~", "@")
    return {word[: min([word.index(cut) for cut in cuts if cut in word] or [len(word)])] for word in words}


def _row(fields: "Dict[bytes, str]", auto: bool) -> Dict[str, object]:
    size = fields.get(b"I", "")
    return {
        "manager": "apk",
        "modes": True,
        "name": fields.get(b"P", ""),
        "version": fields.get(b"V", ""),
        "arch": fields.get(b"A", ""),
        "auto": auto,
        "source": fields.get(b"o", ""),
        "size": int(size) if size.isdigit() else 0,
    }
