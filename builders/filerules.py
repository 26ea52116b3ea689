"""By which rule of the closed list a difference of one path is explained.

Three can have made a difference, and each is held to what it may do. The *build*: then the copy's path must be as the build's record has it.
The *running machine*: only what a rule says that it changes or makes, plainly. The *scan*, which left something out: then nobody could bring it.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable

from builders.copydisk import Copy
from builders.explain import CHANGED, ONLY_COPY, ONLY_SOURCE, Rule, covering, recorded, rules
from builders.origins import Own
from builders.startup import is_own_kernel
from scanner.agent.tree import printable
from scanner.compare import FileDifference
from scanner.report import FileEntry, Kind, Report, State

CONTENTS = frozenset({"size", "sha256", "mtime"})
_NEAREST = CONTENTS | {"target", "hardlink", "extents", "type"}
"""What another version of a package may have otherwise of its files."""
_NOT_BROUGHT = frozenset({State.UNMANAGED, State.CONFFILE_CHANGED, State.MANAGED_CHANGED})
_HOST_KEY = re.compile(r"/etc/ssh/ssh_host_[a-z0-9]+_key(\.pub)?")
_SYSTEM_LOG = re.compile(
    r"/var/log/((syslog|messages|debug|kern\.log|auth\.log|daemon\.log|user\.log|cron\.log|boot\.log|mail\.(log|info|warn|err)|dmesg|alternatives\.log|bootstrap\.log|fontconfig\.log)"
    r"|cloud-init(-output)?\.log)"
)
"""Logs that the base system's own daemons write beside the folders of packages. Source: rsyslog's and systemd's packages in Debian."""
RESOLVER_CLIENTS = frozenset({"isc-dhcp-client", "dhcpcd", "dhcpcd-base", "udhcpc", "network-manager", "connman", "resolvconf", "openresolv", "ifupdown-ng"})
"""Packages that write /etc/resolv.conf when the network comes up."""


class FileRules:
    """Explains differences of paths between a source and its copy."""

    def __init__(self, source: Report, copy: Copy) -> None:
        self._source = source
        self._copy = copy
        self._container = source.head.system.container is not None
        self._redacted = {secret.path for secret in source.head.redacted}
        self._log_folders: set[str] = set()
        self._host_keys = False
        self._unseen: set[str] = set()
        for entry in source.files():
            if entry.state == State.EXCLUDED and entry.reason == "user" and entry.type == Kind.DIRECTORY:
                self._unseen.add(entry.path)
            elif entry.path.startswith("/var/log/") and entry.type == Kind.DIRECTORY and entry.state == State.MANAGED:
                self._log_folders.add(entry.path)
            elif there(entry) and _HOST_KEY.fullmatch(entry.path):
                self._host_keys = True

    def explain(self, one: FileDifference) -> str | None:
        """The name of the rule, or None."""
        kind, own = kind_of(one), self._copy.record.get(one.path)
        rule = self._gone(one, own) if one.right is None or kind == ONLY_SOURCE else self._there(one, one.right, kind, own)
        return None if rule == "package-database" and not self._may_differ(one, kind) else rule

    def since(self, own: Own, entry: FileEntry) -> str | None:
        """The rule by which a path of the build's own may be on the copy as it is now; "" where it is as it was."""
        differing = changed(own, entry)
        if not differing:
            return ""
        found = (rule.name for rule in rules().values() if rule.covers(own.path) and _ran(rule, differing, entry))
        return next(found, None)

    def plain_folder(self, one: FileDifference) -> bool:
        """Whether a folder that only the copy has is as the build left it, or as any program makes one."""
        own = self._copy.record.get(one.path)
        return one.right is not None and one.right.type == Kind.DIRECTORY and (not changed(own, one.right) if own is not None else _plain(one.right, None))

    def _gone(self, one: FileDifference, own: Own | None) -> str | None:
        if own is not None:
            return None
        left, overlay = one.left, self._source.head.overlay
        for rule in covering(one.path, ONLY_SOURCE, container=self._container):
            return "unpackaged-kernel" if rule.name == "boot" and left is not None and is_own_kernel(left) else rule.name
        if left is not None and left.state == State.EXCLUDED and left.type != Kind.DIRECTORY:
            return "left-out"
        if owner(one) in self._copy.nearest:
            return "nearest-version"
        if not overlay and left is not None and left.state in _NOT_BROUGHT:
            return "no-overlay"
        return self._supplied(one, ())

    def _there(self, one: FileDifference, entry: FileEntry, kind: str, own: Own | None) -> str | None:
        differing = changed(own, entry) if own is not None else ()
        if own is not None and not differing and kind == ONLY_COPY:
            if own.rule:
                return own.rule
            if self._unseen.intersection(_above(one.path)):
                return "left-out"
        for rule in covering(one.path, kind, one.fields, container=self._container):
            if own is not None and _ran(rule, differing, entry):
                return rule.name
            if own is None and (_ran(rule, one.fields, entry) if kind == CHANGED else _made(rule, entry)):
                return rule.name
        if kind == ONLY_COPY:
            return self._host_key(one.path, entry) if own is None else None
        return self._running(one) if own is None else self._building(one, entry) if not differing else None

    def _host_key(self, path: str, entry: FileEntry) -> str | None:
        return "host-keys" if _HOST_KEY.fullmatch(path) and not self._host_keys and _plain(entry, None) and entry.type == Kind.FILE else None

    def _building(self, one: FileDifference, entry: FileEntry) -> str | None:
        """A path that both sides have, and that is as the build left it."""
        if one.path in self._copy.translated and {"size", "sha256"}.issuperset(one.fields) and entry.sha256 == self._copy.translated[one.path]:
            return "translated"
        if owner(one) in self._copy.nearest and _NEAREST.issuperset(one.fields):
            return "nearest-version"
        if not self._source.head.overlay and one.left is not None and one.left.state in _NOT_BROUGHT:
            return "no-overlay"
        return self._supplied(one, one.fields)

    def _running(self, one: FileDifference) -> str | None:
        """A path of the source's that changed on the copy."""
        if self._root_grew(one):
            return "grown-root"
        if self._log_grew(one):
            return "log-appended"
        if one.path == "/etc/resolv.conf" and CONTENTS.issuperset(one.fields) and any(package.name in RESOLVER_CLIENTS for package in self._source.head.packages):
            return "resolver-client"
        return self._supplied(one, one.fields)

    def _supplied(self, one: FileDifference, fields: Iterable[str]) -> str | None:
        """What the scan left on the machine is not on the copy, or has other contents there, since somebody supplied them."""
        return "redacted" if CONTENTS.issuperset(fields) and printable(os.fsencode(one.path)) in self._redacted else None

    def _may_differ(self, one: FileDifference, kind: str) -> bool:
        """Of what dpkg keeps of one package (its scripts, its digests, its list): only the time, where both have it at the same version."""
        of = recorded(one.path)
        if of is None or of in self._copy.nearest or (kind == CHANGED and one.fields == ("mtime",)):
            return True
        overlay = self._source.head.overlay
        if kind == ONLY_COPY or of in self._copy.added:
            return of in self._copy.added or not overlay
        return not any(package.name == of and (package.status == "installed" or overlay) for package in self._source.head.packages)

    def _root_grew(self, one: FileDifference) -> bool:
        """Source: cloud-init's cc_resizefs runs at every boot; libext2fs (ismounted.c) makes and removes `/.ismount-test-file`."""
        if one.path != "/" or one.fields != ("mtime",) or one.left is None or one.right is None or one.right.mtime < one.left.mtime:
            return False
        return any(package.name == "cloud-init" for package in self._copy.report.head.packages)

    def _log_grew(self, one: FileDifference) -> bool:
        left, right = one.left, one.right
        if left is None or right is None or left.type != Kind.FILE or not CONTENTS.issuperset(one.fields) or right.size < left.size:
            return False
        if not _SYSTEM_LOG.fullmatch(one.path) and not self._log_folders.intersection(_above(one.path)):
            return False
        return self._copy.disk.prefix(one.path, left.size) == left.sha256


def kind_of(one: FileDifference) -> str:
    """`only in source`, `only in copy` or `changed`."""
    if not there(one.right):
        return ONLY_SOURCE
    return CHANGED if there(one.left) else ONLY_COPY


def there(entry: FileEntry | None) -> bool:
    """Whether the path is on the machine."""
    return entry is not None and entry.state != State.MISSING


def owner(one: FileDifference) -> str:
    """The package that owns the path on both sides where it is on both; "" where nobody does, or another."""
    owners = {(entry.package or "").partition(":")[0] for entry in (one.left, one.right) if entry is not None}
    return owners.pop() if len(owners) == 1 else ""


def changed(own: Own, entry: FileEntry) -> tuple[str, ...]:
    """What of a path of the build's own is another now; of what a scan does not read, only the kind and the owner can be told."""
    assert own.built is not None
    differing = own.built.differing(entry)
    return tuple(name for name in differing if name in ("type", "mode", "uid", "gid")) if entry.state == State.EXCLUDED else differing


def _ran(rule: Rule, differing: Iterable[str], entry: FileEntry) -> bool:
    """Whether the running machine may change this much of a path; nothing, it always may."""
    return rule.running.issuperset(differing) and ("target" not in differing or entry.type != Kind.SYMLINK or rule.may_lead_to(entry.target))


def _made(rule: Rule, entry: FileEntry) -> bool:
    """Whether the running machine may have made the path."""
    return bool(rule.makes) and _plain(entry, rule) and (rule.makes == "plain" or entry.type == Kind.DIRECTORY or not entry.size)


def _plain(entry: FileEntry, rule: Rule | None) -> bool:
    """A file, a folder or a link that the rule knows; that lends nobody a right, and that not everybody may write to."""
    if entry.type == Kind.SYMLINK:
        return rule is not None and rule.may_lead_to(entry.target)
    bits = int(entry.mode, 8)
    lends = bits & (stat.S_ISUID if entry.type == Kind.DIRECTORY else stat.S_ISUID | stat.S_ISGID) or "security.capability" in entry.xattrs
    return entry.type in (Kind.FILE, Kind.DIRECTORY) and not lends and (not bits & stat.S_IWOTH or bool(bits & stat.S_ISVTX))


def _above(path: str) -> Iterable[str]:
    """Every folder that the path lies in."""
    parts = path.split("/")[1:-1]
    return ("/" + "/".join(parts[: end + 1]) for end in range(len(parts)))
