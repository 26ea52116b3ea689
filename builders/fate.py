"""What a build from a scan does with one path of it, and by which rule."""

from __future__ import annotations

from dataclasses import dataclass

from builders.capture import captured, left_behind, pick
from builders.explain import rules
from builders.translate import names_surroundings
from scanner.agent.tree import printable
from scanner.report import FileEntry, Kind, Report, State


@dataclass(frozen=True, slots=True)
class Fate:
    """`action` is one of `install`, `repack`, `restore`, `translate`, `delete`, `keep-own`, `nothing`, `not-brought`, `supply`."""

    action: str
    why: str
    rule: str | None = None
    """The rule of the closed list (`rules.toml`) that decided, if one did."""


def fate(report: Report, entry: FileEntry) -> Fate:
    """Raises `HostileInput` when the scan's archives are damaged."""
    head = report.head
    redacted = next((one for one in head.redacted if one.path == printable(entry.raw)), None)
    if entry.state == State.EXCLUDED:
        return Fate("nothing", "excluded from the scan: the new machine makes its own")
    if redacted is not None:
        return Fate("supply", f"its contents ({redacted.secret}) were redacted: they must be supplied at build time")
    own = next((rule for rule in rules().values() if rule.base_wins and rule.covers(entry.path)), None)
    where = pick(entry, captured(report.folder), left_behind(head))
    if where == "foreign" and head.overlay and own is not None and own.name == "package-database":
        return Fate("restore", "what dpkg keeps of packages that are packed again, and of removed ones, is put back as it was")
    if where == "foreign" and head.overlay:
        return Fate("repack", "packages that no repository offers are made again from their files")
    if entry.state == State.MANAGED:
        return Fate("install", "the package that ships it is installed again, at the same version; owner, mode, attributes and time are set from the report")
    if own is not None:
        return Fate("keep-own", own.reason, own.name)
    if not head.overlay:
        return Fate("not-brought", "the scan has no overlay: contents outside packages were not captured", "no-overlay")
    if entry.state == State.MISSING:
        return Fate("delete", "the source does not have it: a whiteout of the overlay takes it away")
    if names_surroundings(entry.path, head):
        return Fate("translate", rules()["translated"].reason, "translated")
    if entry.type == Kind.SOCKET:
        return Fate("restore", "a socket has no contents: it is made again, with owner, mode and time from the report")
    return Fate("restore", "its contents are in the overlay; owner, mode, attributes and time are set from the report")
