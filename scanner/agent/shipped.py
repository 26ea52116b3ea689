"""What a package ships at a path, as far as its manager knows it, and how the machine's path differs from it."""

import base64
from typing import Dict, Mapping, Optional, Tuple

from scanner.agent import capabilities
from scanner.agent.found import Found
from scanner.agent.tree import printable

CONTENTS = ("digest", "size", "target")
ORDER = ("type", "digest", "size", "target", "device", "mode", "user", "group", "caps", "mtime")
"""The first that differs names the reason."""


class Shipped:
    """One path of a package. What is None is not known, or is not to be verified."""

    __slots__ = (
        "caps",
        "config",
        "device",
        "digest",
        "ghost",
        "group",
        "kind",
        "mode",
        "mtime",
        "size",
        "target",
        "user",
    )

    def __init__(self, kind: str, mode: Optional[int] = None, user: Optional[str] = None, group: Optional[str] = None) -> None:
        self.kind = kind
        """A kind of `walk.KINDS`; empty where it may be anything."""
        self.mode = mode
        self.user = user
        """A name, or `#` and a number."""
        self.group = group
        self.size: Optional[int] = None
        self.mtime: Optional[int] = None
        """Seconds since the epoch."""
        self.digest: Optional[Tuple[str, str]] = None
        """Name of the algorithm as hashlib has it, and the value in hexadecimal digits."""
        self.target: Optional[bytes] = None
        self.device: Optional[int] = None
        self.caps: Optional[str] = None
        """As cap_to_text(3) writes them; empty for none."""
        self.config = False
        self.ghost = False
        """Owned by the package, but its contents do not come with it."""


class Names:
    """The machine's own names of users and groups, by number."""

    def __init__(self, users: Mapping[int, bytes], groups: Mapping[int, bytes]) -> None:
        self.users = users
        self.groups = groups


def judge(found: Found, shipped: Shipped, names: Names) -> Tuple[str, str, Dict[str, str]]:
    """State, reason code and differences of a path that is there."""
    expected = differences(found, shipped, names)
    if shipped.ghost:
        return "unmanaged", "ghost", expected
    if expected:
        what = first(expected)
        return _changed(what, shipped.config), _reason(what, shipped.config), expected
    if shipped.digest and found.kind == "file":
        return "managed", "unreadable" if found.content is None else "digest-equal", {}
    return "managed", "listed", {}


def first(expected: Mapping[str, str]) -> str:
    """Of all that differs, what names the reason."""
    return next(key for key in ORDER if key in expected)


def _changed(what: str, config: bool) -> str:
    return "conffile-changed" if config and what in CONTENTS else "managed-changed"


def _reason(what: str, config: bool) -> str:
    return "conffile-digest" if config and what == "digest" else what + "-differs"


def differences(found: Found, shipped: Shipped, names: Names) -> Dict[str, str]:
    """Name of what differs -> what the package ships. Which of them apply to which kind is rpm's rule (rpm(8), VERIFY OPTIONS)."""
    assert found.stat is not None
    if shipped.kind and found.kind != shipped.kind and not shipped.ghost:
        return {} if shipped.kind == "directory" and merged(found) else {"type": shipped.kind}
    expected = dict(_ownership(found, shipped, names))
    if found.kind != "symlink" and shipped.mode not in (None, found.stat.st_mode & 0o7777):
        expected["mode"] = "%04o" % (shipped.mode or 0)
    if found.kind == "file" and not shipped.ghost:
        expected.update(_contents(found, shipped))
    if found.kind == "file" and shipped.caps is not None and not _same_capabilities(found, shipped.caps):
        expected["caps"] = shipped.caps
    if found.kind == "symlink" and shipped.target not in (None, found.target):
        expected["target"] = printable(shipped.target)
    if found.kind in ("char", "block") and shipped.device not in (None, found.stat.st_rdev & 0xFFFF):
        expected["device"] = "%d:%d" % divmod(shipped.device or 0, 256)
    return expected


def _ownership(found: Found, shipped: Shipped, names: Names) -> Dict[str, str]:
    assert found.stat is not None
    wanted = {}
    if shipped.user is not None and not _is(shipped.user, found.stat.st_uid, names.users):
        wanted["user"] = shipped.user
    if shipped.group is not None and not _is(shipped.group, found.stat.st_gid, names.groups):
        wanted["group"] = shipped.group
    return wanted


def _is(wanted: str, number: int, names: Mapping[int, bytes]) -> bool:
    if wanted.startswith("#"):
        return wanted == "#%d" % number
    return wanted == ("root" if number == 0 else printable(names.get(number)))


def _contents(found: Found, shipped: Shipped) -> Dict[str, str]:
    assert found.stat is not None
    expected = {}
    if shipped.digest and found.content is not None:
        name, value = shipped.digest
        if found.content.digest(name) != value:
            expected["digest"] = "%s:%s" % shipped.digest
    if shipped.size not in (None, found.stat.st_size):
        expected["size"] = str(shipped.size)
    if shipped.mtime not in (None, found.stat.st_mtime_ns // 10**9):
        expected["mtime"] = str(shipped.mtime)
    return expected


def _same_capabilities(found: Found, wanted: str) -> bool:
    raw = found.xattrs.get("security.capability")
    return capabilities.of_text(wanted) == (capabilities.of_attribute(base64.b64decode(raw)) if raw else capabilities.NONE)


def merged(found: Found) -> bool:
    """Whether this is one of the links that a merged /usr puts in place of /bin, /sbin and /lib*."""
    return found.kind == "symlink" and found.target is not None and found.target.lstrip(b"/") == b"usr" + found.path
