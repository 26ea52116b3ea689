"""The comparison behind the proof: source report against copy report, every difference explained by the closed list or not."""

from __future__ import annotations

import os
import posixpath
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from builders.copydisk import SECRETS, Disk
from builders.explain import CHANGED, ONLY_COPY, ONLY_SOURCE, Explainer, recorded, rules
from builders.image import Difference, Excuse, Scope
from builders.startup import is_own_kernel
from scanner.agent.tree import printable
from scanner.compare import (
    FileDifference,
    RowDifference,
    compare_files,
    compare_groups,
    compare_packages,
    compare_services,
    compare_users,
)
from scanner.report import FileEntry, Package, Report, Service, State, User

_NEAREST = frozenset({"size", "sha256", "mtime", "target", "hardlink", "extents", "type"})
"""What another version of a package may change of its files."""
_GROWN = frozenset({"size", "sha256", "mtime"})
LOST = "gone since the build wrote it"
_HOST_KEY = re.compile(r"/etc/ssh/ssh_host_[a-z0-9]+_key(\.pub)?")
_NOT_BROUGHT = frozenset({State.UNMANAGED, State.CONFFILE_CHANGED, State.MANAGED_CHANGED, State.MANAGED})
_SYSTEM = ("distribution", "version", "codename", "arch", "package_arch", "hostname", "timezone", "locale", "keyboard")
_NO_SHELL = ("nologin", "false", "sync")
SYSTEM_IDS = range(1, 1000)
"""Not 0: another name for root is never something that a package makes for itself."""


@dataclass(slots=True)
class Comparison:
    """The sums, the differences and what each rule excused."""

    scopes: dict[str, Scope] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)

    def add(self, scope: str, total: int, found: Iterable[Difference]) -> None:
        """`total`: rows on the source."""
        found = list(found)
        explained = sum(1 for one in found if one.rule)
        touching = sum(1 for one in found if one.what not in (ONLY_COPY, LOST))
        self.scopes[scope] = Scope(equal=total - touching, explained=explained, unexplained=len(found) - explained)
        self.differences += found

    def include(self, scope: str, sums: Scope, found: Iterable[Difference]) -> None:
        """A scope that was judged elsewhere."""
        self.scopes[scope] = sums
        self.differences += found

    def sorted(self) -> list[Difference]:
        """Unexplained ones first, else in the order in which they were found."""
        return sorted(self.differences, key=lambda one: one.rule is not None)

    def excuses(self) -> list[Excuse]:
        counts = Counter(one.rule for one in self.differences if one.rule)
        return [Excuse(rule=name, reason=rules()[name].reason, count=counts[name]) for name in rules() if counts[name]]


@dataclass(slots=True)
class Copy:
    """The migrated machine: its report, its disk, and the names of the packages that were added."""

    report: Report
    disk: Disk
    added: set[str]
    translated: dict[str, str] = field(default_factory=dict)
    """Configuration that the build translated: path -> sha256 of what it wrote (`translate.py`)."""
    written: dict[str, str] = field(default_factory=dict)
    """What the build wrote so that the machine starts: path -> sha256 (`bootable.py`)."""
    nearest: dict[str, str] = field(default_factory=dict)
    """Package -> the version that the build took instead of the source's (`packages: nearest`)."""


def compare(source: Report, copy: Copy, explainer: Explainer | None = None) -> Comparison:
    """Everything that a report tells, scope by scope."""
    container = source.head.system.container is not None
    explainer = explainer or Explainer(copy.disk.listed(copy.added), copy.disk.link, container=container)
    result = Comparison()
    result.add("system", len(_SYSTEM), _system(source, copy))
    result.add("packages", len(source.head.packages), _packages(source, copy))
    result.add("files", _present(source), _files(source, copy, explainer))
    result.add("users", len(source.head.users) + len(source.head.groups), _accounts(source, copy))
    result.add("services", len(source.head.services), _services(source, copy, explainer))
    result.differences = result.sorted()
    return result


def _system(source: Report, copy: Copy) -> Iterator[Difference]:
    """What the machine says of itself; of what the source does not say, the copy may say anything."""
    for name in _SYSTEM:
        ours, theirs = (_printable(str(getattr(side.head.system, name))) for side in (source, copy.report))
        if ours and ours != theirs:
            yield Difference(scope="system", item=name, what="value", source=ours, copy=theirs)


def _present(source: Report) -> int:
    return source.head.counts["files"] - source.head.counts.get(State.MISSING, 0)


def _row(scope: str, difference: RowDifference, rule: str | None) -> Difference:
    kind = ONLY_SOURCE if difference.right is None else ONLY_COPY if difference.left is None else ", ".join(difference.fields)
    shown = [", ".join(f"{name}={getattr(side, name)}" for name in difference.fields if hasattr(side, name)) for side in (difference.left, difference.right)]
    return Difference(scope=scope, item=difference.name, what=kind, source=shown[0], copy=shown[1], rule=rule)


def _packages(source: Report, copy: Copy) -> Iterator[Difference]:
    for one in compare_packages(source, copy.report):
        new = one.left is None or (isinstance(one.left, Package) and one.left.status == "config-files")
        rule = "added-package" if new and isinstance(one.right, Package) and one.right.name in copy.added else None
        if one.right is None and not source.head.overlay:
            rule = "no-overlay"
        if isinstance(one.right, Package) and copy.nearest.get(one.right.name) == one.right.version and one.fields == ("version",):
            rule = "nearest-version"
        yield _row("packages", one, rule)


def _services(source: Report, copy: Copy, explainer: Explainer) -> Iterator[Difference]:
    for one in compare_services(source, copy.report):
        yield _row("services", one, _service_rule(one, source, copy, explainer))


def _service_rule(one: RowDifference, source: Report, copy: Copy, explainer: Explainer) -> str | None:
    unit = one.right if isinstance(one.right, Service) else None
    if unit is not None and (unit.package or "").partition(":")[0] in copy.added:
        # New, or a unit of an added package that comes before the source's init script of that name.
        return "added-package"
    if unit is not None and one.left is None:
        return explainer.explain(unit.path, ONLY_COPY)
    if unit is not None and isinstance(one.left, Service):
        return _enabled_by(one.left, unit, one.fields, explainer)
    return "no-overlay" if unit is None and not source.head.overlay else None


def _enabled_by(left: Service, right: Service, fields: Iterable[str], explainer: Explainer) -> str | None:
    """The rule that explains every link by which the copy starts a unit that the source does not."""
    targets = [target for target in right.wanted_by if target not in left.wanted_by]
    if not targets or not {"state", "wanted_by"}.issuperset(fields) or set(left.wanted_by) - set(right.wanted_by) or left.state != "disabled":
        return None
    rules = [explainer.explain(f"/etc/systemd/system/{target}.wants/{right.name}", ONLY_COPY) for target in targets]
    return rules[0] if all(rules) else None


def _accounts(source: Report, copy: Copy) -> Iterator[Difference]:
    for one in compare_users(source, copy.report):
        rule = "added-account" if one.left is None and isinstance(one.right, User) and _only_a_service(one.right) else None
        if not source.head.overlay and one.fields == ("password",):
            rule = "no-overlay"
        if one.fields == ("password",) and any(secret.path == "/etc/shadow" for secret in source.head.redacted):
            rule = "redacted"
        yield _row("users", one, rule)
    for one in compare_groups(source, copy.report):
        rule = "added-account" if one.left is None and getattr(one.right, "gid", 0) in SYSTEM_IDS else None
        yield _row("users", one._replace(name=f"group {one.name}"), rule)
    yield from _secrets(source, copy)


def _only_a_service(user: User) -> bool:
    """Whether nobody can log in by it: what packages make for themselves."""
    return user.uid in SYSTEM_IDS and user.password in ("locked", "none") and user.shell.rpartition("/")[2] in _NO_SHELL


def _secrets(source: Report, copy: Copy) -> Iterator[Difference]:
    """Passwords, their ages and more, line by line; only whether they are the same is told."""
    for table, name in copy.disk.secrets(source):
        yield Difference(scope="users", item=f"group {name}" if table == "/etc/gshadow" else name, what=SECRETS[table])


def _files(source: Report, copy: Copy, explainer: Explainer) -> list[Difference]:
    found = []
    for one in compare_files(source, copy.report):
        rule = _explained(one, source, copy, explainer)
        if rule is None and _HOST_KEY.fullmatch(one.path) and kind_of(one) == ONLY_COPY and not _has_host_keys(source):
            rule = "host-keys"
        found.append((one, rule))
    return [*(_file(one, rule) for one, rule in _folders(found)), *_lost(copy, {one.path for one, _ in found})]


def _lost(copy: Copy, different: set[str]) -> Iterator[Difference]:
    """What the build wrote, and neither side has: no comparison of the two shows that."""
    suspected = copy.written.keys() - different
    there = {entry.path for entry in copy.report.files() if entry.path in suspected and _there(entry)} if suspected else set()
    for path in sorted(suspected - there):
        yield Difference(scope="files", item=_printable(path), what=LOST, source="not there", copy="not there")


def _has_host_keys(source: Report) -> bool:
    return any(_HOST_KEY.fullmatch(entry.path) for entry in source.files() if _there(entry))


def kind_of(one: FileDifference) -> str:
    """`only in source`, `only in copy` or `changed`."""
    if not _there(one.right):
        return ONLY_SOURCE
    return CHANGED if _there(one.left) else ONLY_COPY


def _there(entry: FileEntry | None) -> bool:
    return entry is not None and entry.state != State.MISSING


def _explained(one: FileDifference, source: Report, copy: Copy, explainer: Explainer) -> str | None:
    kind = kind_of(one)
    if one.right is not None and copy.written.get(one.path, one.right.sha256) != one.right.sha256:
        # No rule excuses what the build wrote when it is not as it wrote it.
        return None
    rule = explainer.explain(one.path, kind, one.fields)
    if rule == "package-database" and not _may_differ(one, kind, source, copy):
        return None
    if rule == "injected-keys" and kind == ONLY_COPY and one.right is not None and one.right.size and one.right.type == "file":
        # The machine of a proof is given no keys: what is in there came from somewhere else.
        return None
    if rule == "boot" and kind == ONLY_SOURCE and one.left is not None and is_own_kernel(one.left):
        return "unpackaged-kernel"
    if rule is None and kind == ONLY_SOURCE and one.left is not None and one.left.state == State.EXCLUDED and one.left.type != "directory":
        return "left-out"
    if rule is None and kind == CHANGED and _translated(one, copy):
        return "translated"
    if rule is None and _owner(one) in copy.nearest and _NEAREST.issuperset(one.fields if kind == CHANGED else ()):
        return "nearest-version"
    if rule is None and kind == CHANGED and _root_grew(one, copy):
        return "grown-root"
    if rule is None and kind == CHANGED and _log_grew(one, copy.disk):
        return "log-appended"
    if rule is None and not source.head.overlay and kind != ONLY_COPY and one.left is not None and one.left.state in _NOT_BROUGHT - {State.MANAGED}:
        return "no-overlay"
    return rule or _redacted(one, kind, source)


def _may_differ(one: FileDifference, kind: str, source: Report, copy: Copy) -> bool:
    """Of what dpkg keeps of one package (its scripts, its digests, its list): only the time, where both have it at the same version."""
    owner = recorded(one.path)
    if owner is None or owner in copy.nearest or (kind == CHANGED and one.fields == ("mtime",)):
        return True
    if kind == ONLY_COPY or owner in copy.added:
        return owner in copy.added or not source.head.overlay
    return not any(package.name == owner and (package.status == "installed" or source.head.overlay) for package in source.head.packages)


def _translated(one: FileDifference, copy: Copy) -> bool:
    """Exactly what the build wrote: owner, mode and time are the source's, or it is a difference."""
    return one.right is not None and {"size", "sha256"}.issuperset(one.fields) and one.right.sha256 is not None and copy.translated.get(one.path) == one.right.sha256


def _owner(one: FileDifference) -> str:
    """The package that owns the path on both sides where it is on both; "" where nobody does, or another."""
    owners = {(entry.package or "").partition(":")[0] for entry in (one.left, one.right) if entry is not None}
    return owners.pop() if len(owners) == 1 else ""


def _redacted(one: FileDifference, kind: str, source: Report) -> str | None:
    """What the scan left on the machine is not on the copy, or has other contents there, since somebody supplied them."""
    if kind == ONLY_COPY or (kind == CHANGED and not _GROWN.issuperset(one.fields)):
        return None
    return "redacted" if printable(os.fsencode(one.path)) in {secret.path for secret in source.head.redacted} else None


def _root_grew(one: FileDifference, copy: Copy) -> bool:
    """Source: cloud-init's cc_resizefs runs at every boot; libext2fs (ismounted.c) makes and removes `/.ismount-test-file`."""
    if one.path != "/" or one.fields != ("mtime",) or one.left is None or one.right is None or one.right.mtime < one.left.mtime:
        return False
    return any(package.name == "cloud-init" for package in copy.report.head.packages)


def _log_grew(one: FileDifference, disk: Disk) -> bool:
    left, right = one.left, one.right
    if left is None or right is None or left.type != "file" or not one.path.startswith("/var/log/") or not _GROWN.issuperset(one.fields) or right.size < left.size:
        return False
    return disk.prefix(one.path, left.size) == left.sha256


def _folders(found: list[tuple[FileDifference, str | None]]) -> list[tuple[FileDifference, str | None]]:
    """Folders, children first: a new one that holds only explained entries, and one whose time moved because of them."""
    inside: dict[str, list[str | None]] = {}
    settled = []
    for one, rule in reversed(found):
        children = inside.get(one.path, [])
        if rule is None and children and all(children) and _is_folder(one):
            rule = "added-folder" if kind_of(one) == ONLY_COPY else "directory-time" if one.fields == ("mtime",) else None
        if one.path != "/":
            inside.setdefault(posixpath.dirname(one.path), []).append(rule)
        settled.append((one, rule))
    return settled[::-1]


def _is_folder(one: FileDifference) -> bool:
    return one.right is not None and one.right.type == "directory"


def _file(one: FileDifference, rule: str | None) -> Difference:
    kind = kind_of(one)
    return Difference(
        scope="files",
        item=_printable(one.path),
        what=kind if kind != CHANGED else ", ".join(one.fields),
        source=_shown(one.left, one.fields) if kind == CHANGED else "",
        copy=_shown(one.right, one.fields) if kind == CHANGED else "",
        rule=rule,
    )


def _shown(entry: FileEntry | None, fields: Iterable[str]) -> str:
    values = ", ".join(f"{name}={getattr(entry, name)}" for name in fields)
    return _printable(values)


def _printable(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()
