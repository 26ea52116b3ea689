"""Which differences between a source and its copy are expected, and by which rule of the closed list (`rules.toml`)."""

from __future__ import annotations

import posixpath
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

ONLY_COPY, ONLY_SOURCE, CHANGED = "only in copy", "only in source", "changed"
_RECORD = re.compile(r"/var/lib/dpkg/info/([^:/]+?)(?::[^./]+)?\.[^./]+")
_MERGED = ("/bin/", "/sbin/", "/lib/", "/lib32/", "/lib64/", "/libx32/")


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of the closed list; see the head of `rules.toml` for what the fields mean."""

    name: str
    reason: str
    pattern: re.Pattern[str] | None = None
    kinds: frozenset[str] = frozenset()
    fields: frozenset[str] = frozenset()
    running: frozenset[str] = frozenset()
    makes: str = ""
    links: re.Pattern[str] | None = None
    base_wins: bool = False
    source: str = ""

    def covers(self, path: str) -> bool:
        return self.pattern is not None and self.pattern.fullmatch(path) is not None

    def explains(self, path: str, kind: str, fields: Iterable[str]) -> bool:
        if kind not in self.kinds or not self.covers(path):
            return False
        return kind != CHANGED or not self.fields or self.fields.issuperset(fields)

    def may_lead_to(self, target: str | None) -> bool:
        """Whether a link that the running machine made may point there."""
        return self.links is not None and target is not None and self.links.fullmatch(target) is not None


@cache
def rules() -> dict[str, Rule]:
    """The closed list by name, in its order."""
    with (Path(__file__).parent / "rules.toml").open("rb") as text:
        listed = tomllib.load(text)["rule"]
    return {entry["name"]: _rule(entry) for entry in listed}


def _rule(entry: Mapping[str, Any]) -> Rule:
    return Rule(
        entry["name"],
        entry["reason"],
        _pattern(entry.get("paths", ())),
        frozenset(entry.get("kinds", ())),
        frozenset(entry.get("fields", ())),
        frozenset(entry.get("running", ())),
        entry.get("makes", ""),
        _pattern(entry.get("links", ())),
        entry.get("base_wins", False),
        entry.get("source", ""),
    )


def _pattern(globs: Iterable[str]) -> re.Pattern[str] | None:
    """One pattern for all of them; None for none."""
    parts = [_translate(one) for one in globs]
    return re.compile("|".join(parts), re.DOTALL) if parts else None


def _translate(pattern: str) -> str:
    parts = re.split(r"(\*\*/|\*\*|\*)", pattern)
    words = {"**/": "(?:.*/)?", "**": ".+", "*": "[^/]*"}
    return "".join(words.get(part, re.escape(part)) for part in parts)


def base_wins(path: str) -> bool:
    """Whether the image keeps its own version of `path` (see `base_wins` in `rules.toml`)."""
    return _kept().fullmatch(path) is not None


@cache
def _kept() -> re.Pattern[str]:
    """The paths of all those rules in one pattern: every path of a machine is asked about, twice."""
    return re.compile("|".join(f"(?:{rule.pattern.pattern})" for rule in rules().values() if rule.base_wins and rule.pattern), re.DOTALL)


def canonical(path: str) -> str:
    """`path` as it is on a system with a merged /usr."""
    return "/usr" + path if path.startswith(_MERGED) else path


def recorded(path: str) -> str | None:
    """Of which package `path` is dpkg's own record (its list, its digests, its scripts); None for anything else."""
    match = _RECORD.fullmatch(path)
    return match[1] if match else None


def listed_by(root: Path, packages: Iterable[str]) -> set[str]:
    """Every path that the named packages (`name` or `name:arch`) list, on the system below `root`."""
    merged = not (root / "bin").is_dir() or (root / "bin").is_symlink()
    return listed(lists_of(root, packages).values(), merged=merged)


def lists_of(root: Path, packages: Iterable[str]) -> dict[str, bytes]:
    """Path -> contents of the lists that dpkg keeps of the named packages. Source: its `info/*.list`."""
    info = "/var/lib/dpkg/info"
    paths = (f"{info}/{name}" for package in packages for name in (f"{package}.list", f"{package}:amd64.list"))
    return {path: Path(f"{root}{path}").read_bytes() for path in paths if Path(f"{root}{path}").exists()}


def listed(lists: Iterable[bytes], *, merged: bool) -> set[str]:
    """The paths of such lists, as they are on a system whose /usr is merged or not."""
    place = canonical if merged else str
    return {place(line) for text in lists for line in text.decode(errors="surrogateescape").splitlines()}


def covering(path: str, kind: str, fields: Iterable[str] = (), *, container: bool = True) -> Iterator[Rule]:
    """The rules that have a pattern for this difference, in the order of the list; `container`: whether the source is one."""
    fields = tuple(fields)
    return (rule for rule in rules().values() if rule.explains(path, kind, fields) and (container or rule.source != "container"))


class Explainer:
    """Which rule lets a path stay on the base disk; what belongs to added packages is read from that disk."""

    def __init__(self, added: set[str], link: Callable[[str], str | None], nearest: set[str] | None = None, *, container: bool = True) -> None:
        """`added`: paths of added packages; `link`: a path's link target on the disk, None when it is no symlink; `nearest`: paths of
        packages that came in another version than the source's; `container`: whether the source is one."""
        self.added = added
        self.container = container
        self.nearest = nearest or set()
        self.link = link

    def explain(self, path: str, kind: str, fields: Iterable[str] = ()) -> str | None:
        """The name of the rule that explains this difference, or None."""
        for rule in covering(path, kind, fields, container=self.container):
            return rule.name
        if kind == ONLY_COPY and path in self.added:
            return "added-package"
        if kind == ONLY_COPY and self._leads_to_added(path):
            return "added-link"
        return "nearest-version" if kind == ONLY_COPY and path in self.nearest else None

    def _leads_to_added(self, path: str) -> bool:
        for _ in range(4):
            target = self.link(path)
            if target is None:
                return False
            path = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
            if path in self.added or canonical(path) in self.added:
                return True
            path = canonical(path) if self.link(path) is None else path
        return False
