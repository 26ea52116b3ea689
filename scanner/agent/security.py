"""Who may do what: SELinux and AppArmor, sudoers(5), keys that let people in by SSH (sshd(8), AUTHORIZED_KEYS FILE FORMAT)."""

import base64
import binascii
import hashlib
import re
from typing import Dict, Iterable, Iterator, List, Optional, Tuple

from scanner.agent.tree import Root, printable

Row = Dict[str, object]
KEY = re.compile(r"(?:^|(?<=\s))((?:ssh|ecdsa|sk-ssh|sk-ecdsa)-[\w@.-]+)\s+([A-Za-z0-9+/=]+)\s*(.*)$")
INCLUDE = re.compile(r"^[#@]include(dir)?\s+(\S+)")
DEFAULT_KEYS = [".ssh/authorized_keys", ".ssh/authorized_keys2"]


def facts(root: Root, users: Iterable[Row]) -> Iterator[Tuple[str, Row]]:
    """Kind and row of each: settings of areas `selinux` and `apparmor`, `sudo`, `authorized_key`."""
    for row in _policies(root):
        yield "setting", row
    for row in _sudoers(root, b"/etc/sudoers", set()):
        yield "sudo", row
    for row in _authorized(root, users):
        yield "authorized_key", row


def _policies(root: Root) -> Iterator[Row]:
    for line in printable(root.read(b"/etc/selinux/config")).splitlines():
        key, sign, value = line.strip().partition("=")
        if sign and key in ("SELINUX", "SELINUXTYPE"):
            yield {"area": "selinux", "file": "/etc/selinux/config", "key": key, "value": value.strip()}
    for name in root.names(b"/etc/apparmor.d"):
        path = b"/etc/apparmor.d/" + name
        if root.read(path) is not None:
            yield {"area": "apparmor", "file": printable(path), "key": printable(name), "value": _mode(root, name)}


def _mode(root: Root, profile: bytes) -> str:
    """aa-disable(8) and aa-complain(8) put a link beside."""
    for folder in (b"disable", b"force-complain"):
        if profile in root.names(b"/etc/apparmor.d/" + folder):
            return "disabled" if folder == b"disable" else "complain"
    return "enforce"


def _sudoers(root: Root, path: bytes, seen: "set[bytes]") -> Iterator[Row]:
    """In the order in which sudo reads them; a file that is included twice is told once."""
    if path in seen:
        return
    seen.add(path)
    for line in printable(root.read(path)).replace("\\\n", " ").splitlines():
        line = line.strip()
        include = INCLUDE.match(line)
        if include:
            for part in _included(root, include.group(2).encode("utf-8", "surrogateescape"), bool(include.group(1))):
                yield from _sudoers(root, part, seen)
        elif line and not line.startswith("#"):
            yield {"file": printable(path), "line": " ".join(line.split())}


def _included(root: Root, path: bytes, folder: bool) -> List[bytes]:
    if not path.startswith(b"/"):
        path = b"/etc/" + path
    if not folder:
        return [path]
    return [path.rstrip(b"/") + b"/" + name for name in root.names(path) if b"." not in name and not name.endswith(b"~")]


def _authorized(root: Root, users: Iterable[Row]) -> Iterator[Row]:
    patterns = _patterns(root)
    for user in users:
        for pattern in patterns:
            path = _place(pattern, user)
            for line in printable(root.read(path)).splitlines():
                row = _key(line)
                if row:
                    yield {"user": user["name"], "path": printable(path), **row}


def _patterns(root: Root) -> List[str]:
    for line in printable(root.read(b"/etc/ssh/sshd_config")).splitlines():
        words = line.split()
        if words and words[0].lower() == "authorizedkeysfile":
            return words[1:]
    return DEFAULT_KEYS


def _place(pattern: str, user: Row) -> bytes:
    """sshd_config(5), TOKENS."""
    values = {"%h": str(user["home"]), "%u": str(user["name"]), "%U": str(user["uid"]), "%%": "%"}
    path = re.sub("%[huU%]", lambda match: values[match.group()], pattern)
    return (path if path.startswith("/") else "%s/%s" % (user["home"], path)).encode("utf-8", "surrogateescape")


def _key(line: str) -> Optional[Row]:
    match = None if line.lstrip().startswith("#") else KEY.search(line)
    if not match:
        return None
    kind, blob, comment = match.groups()
    try:
        digest = hashlib.sha256(base64.b64decode(blob, validate=True)).digest()
    except binascii.Error:
        return None
    fingerprint = "SHA256:" + base64.b64encode(digest).decode("ascii").rstrip("=")
    return {"type": kind, "fingerprint": fingerprint, "comment": comment, "options": line[: match.start()].strip()}
