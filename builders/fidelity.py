"""The comparison behind the proof: source report against copy report, every difference explained by the closed list or not."""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from builders.copydisk import TABLES, Copy
from builders.explain import CHANGED, ONLY_COPY, ONLY_SOURCE, rules
from builders.filerules import FileRules, changed, kind_of, there
from builders.image import Difference, Excuse, Scope
from builders.proof import blindspots
from scanner.compare import (
    FileDifference,
    RowDifference,
    compare_files,
    compare_groups,
    compare_packages,
    compare_services,
    compare_users,
)
from scanner.report import FileEntry, Group, Kind, Package, Report, Service, State, User

LOST = "gone since the build wrote it"
SINCE = "changed since the build"
_SYSTEM = ("distribution", "version", "codename", "arch", "package_arch", "hostname", "timezone", "locale", "keyboard")
_UNITS = ("/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")

Excused = Mapping[str, str | None]
"""Path that only the copy has -> the rule that explains it."""


@dataclass(slots=True)
class Comparison:
    """The sums, the differences and what each rule excused."""

    scopes: dict[str, Scope] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)

    def add(self, scope: str, total: int, found: Iterable[Difference]) -> None:
        """`total`: rows on the source."""
        found = list(found)
        explained = sum(1 for one in found if one.rule)
        touching = sum(1 for one in found if not one.what.startswith((ONLY_COPY, LOST, SINCE)))
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


def compare(source: Report, copy: Copy) -> Comparison:
    """Everything that a report tells, scope by scope, and what neither could read."""
    result = Comparison()
    result.add("system", len(_SYSTEM), _system(source, copy))
    result.add("packages", len(source.head.packages), _packages(source, copy))
    files, excused = _files(source, copy)
    result.add("files", _present(source), files)
    result.add("users", len(source.head.users) + len(source.head.groups), _accounts(source, copy))
    result.add("services", len(source.head.services), _services(source, copy, excused))
    spots = list(blindspots.judge(source, copy))
    result.add(blindspots.SCOPE, len(spots), spots)
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


def _services(source: Report, copy: Copy, excused: Excused) -> Iterator[Difference]:
    for one in compare_services(source, copy.report):
        yield _row("services", one, _service_rule(one, source, excused))


def _service_rule(one: RowDifference, source: Report, excused: Excused) -> str | None:
    unit = one.right
    if not isinstance(unit, Service):
        return "no-overlay" if not source.head.overlay else None
    links = _links(unit, unit.wanted_by, excused)
    if not all(links.values()):
        return None
    if excused.get(unit.path):
        # New, or a unit of an added package that comes before the source's init script of that name.
        return excused[unit.path]
    return _enabled_by(one.left, unit, one.fields, excused) if isinstance(one.left, Service) else None


def _links(unit: Service, targets: Iterable[str], excused: Excused) -> dict[str, str | None]:
    """The links that only the copy has and by which these targets start the unit, each with its rule."""
    places = (f"{folder}/{target}.{how}/{unit.name}" for target in targets for folder in _UNITS for how in ("wants", "requires"))
    return {place: excused[place] for place in places if place in excused}


def _enabled_by(left: Service, right: Service, fields: Iterable[str], excused: Excused) -> str | None:
    """The rule that explains every link by which the copy starts a unit that the source does not."""
    targets = [target for target in right.wanted_by if target not in left.wanted_by]
    if not targets or not {"state", "wanted_by"}.issuperset(fields) or set(left.wanted_by) - set(right.wanted_by) or left.state != "disabled":
        return None
    found = [next(iter(_links(right, [target], excused).values()), None) for target in targets]
    return found[0] if all(found) else None


def _accounts(source: Report, copy: Copy) -> list[Difference]:
    made = _Made(copy)
    found = []
    for one in compare_users(source, copy.report):
        rule = "added-account" if one.left is None and isinstance(one.right, User) and made.user(one.right) else None
        if not source.head.overlay and one.fields == ("password",):
            rule = "no-overlay"
        if one.fields == ("password",) and any(secret.path == "/etc/shadow" for secret in source.head.redacted):
            rule = "redacted"
        found.append(_row("users", one, rule))
    for one in compare_groups(source, copy.report):
        rule = "added-account" if one.left is None and isinstance(one.right, Group) and made.group(one.right) else None
        found.append(_row("users", one._replace(name=f"group {one.name}"), rule))
    told = {one.item for one in found}
    return [*found, *(line for line in _lines(source, copy) if line.what not in _ROWS or line.item not in told)]


class _Made:
    """The accounts that the build's packages made; each excuses one line, and no more."""

    def __init__(self, copy: Copy) -> None:
        rows = {name: [line.split(":") for line in copy.accounts.get(name, ())] for name in ("passwd", "group")}
        self._users: Counter[tuple[str, ...]] = Counter((row[0], *row[2:]) for row in rows["passwd"])
        self._groups: Counter[tuple[str, ...]] = Counter((row[0], row[2], row[3]) for row in rows["group"])

    def user(self, user: User) -> bool:
        """Whether this is one of theirs, and nobody can log in by it."""
        return user.password in ("locked", "none") and _taken(self._users, (user.name, str(user.uid), str(user.gid), user.gecos, user.home, user.shell))

    def group(self, group: Group) -> bool:
        """Whether this is one of theirs, with the members that they gave it."""
        return _taken(self._groups, (group.name, str(group.gid), ",".join(group.members)))


def _taken(known: Counter[tuple[str, ...]], one: tuple[str, ...]) -> bool:
    known[one] -= 1
    return known[one] >= 0


_ROWS = (TABLES["/etc/passwd"], TABLES["/etc/group"])
"""Of these the report has rows, which tell more than that a line differs."""


def _lines(source: Report, copy: Copy) -> Iterator[Difference]:
    """Passwords, their ages and more, line by line; only whether they are the same is told."""
    for table, name in copy.disk.lines(source, copy.accounts):
        yield Difference(scope="users", item=f"group {name}" if table in ("/etc/gshadow", "/etc/group") else name, what=TABLES[table])


def _files(source: Report, copy: Copy) -> tuple[list[Difference], Excused]:
    by = FileRules(source, copy)
    found = _folders([(one, by.explain(one)) for one in compare_files(source, copy.report)], by)
    excused = {one.path: rule for one, rule in found if kind_of(one) == ONLY_COPY}
    return [*(_file(one, rule) for one, rule in found), *_since(copy, {one.path for one, _ in found}, by)], excused


def _since(copy: Copy, different: set[str], by: FileRules) -> Iterator[Difference]:
    """What of the build's own is gone or another, where no comparison with the source shows that: it has nothing there, or does not tell what."""
    left = copy.record.keys() - different
    pruned = ""
    seen = set()
    for entry in copy.report.files() if left else ():
        if entry.state == State.EXCLUDED and entry.type == Kind.DIRECTORY:
            pruned = entry.path.rstrip("/") + "/"
            left -= {path for path in left if path.startswith(pruned)}
        if entry.path in left and there(entry):
            seen.add(entry.path)
            own = copy.record[entry.path]
            rule = by.since(own, entry)
            if rule != "":
                fields = changed(own, entry)
                yield Difference(
                    scope="files", item=_printable(entry.path), what=f"{SINCE}: {', '.join(fields)}", source="", copy=_shown(entry, fields), rule=rule
                )
    for path in sorted(left - seen):
        yield Difference(scope="files", item=_printable(path), what=LOST, source="not there", copy="not there")


def _folders(found: list[tuple[FileDifference, str | None]], by: FileRules) -> list[tuple[FileDifference, str | None]]:
    """Folders, children first: a new one that holds only explained entries, and one whose time moved because of them."""
    inside: dict[str, list[str | None]] = {}
    settled = []
    for one, rule in reversed(found):
        children = inside.get(one.path, [])
        if rule is None and children and all(children):
            rule = _folder(one, by)
        if one.path != "/":
            inside.setdefault(posixpath.dirname(one.path), []).append(rule)
        settled.append((one, rule))
    return settled[::-1]


def _folder(one: FileDifference, by: FileRules) -> str | None:
    if kind_of(one) == ONLY_COPY:
        return "added-folder" if by.plain_folder(one) else None
    return "directory-time" if one.fields == ("mtime",) and one.right is not None and one.right.type == Kind.DIRECTORY else None


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
