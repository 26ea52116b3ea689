"""What a scan could not read is an item of the proof: of that, nobody knows whether source and copy are the same."""

from __future__ import annotations

from collections.abc import Iterator

from builders.copydisk import TABLES, Copy
from builders.image import Difference
from scanner.agent.tree import printable
from scanner.repack import OVERTAKEN
from scanner.report import BlindSpot, FileEntry, Report, State

SCOPE = "blind spots"
VANISHED, MOVING = "vanished", "changed while being read"
"""Reasons, as the walk words them (`scanner/agent`)."""
_NO_ACCOUNT = ("is not understood", "is not a number")


def judge(source: Report, copy: Copy) -> Iterator[Difference]:
    """A difference for each blind spot of either side; explained where nothing of the system is lost by it."""
    sides = ((source, "source"), (copy.report, "copy"))
    if not any(report.head.blind_spots for report, _ in sides):
        return
    spots = {spot.path for report, _ in sides for spot in report.head.blind_spots}
    known = {side: _Known(report, spots) for report, side in sides}
    for report, side in sides:
        for spot in report.head.blind_spots:
            told = {side: spot.reason}
            yield Difference(scope=SCOPE, item=spot.path, what=f"the {side} could not be read", rule=_rule(spot, side, known, source), **told)


class _Known:
    """What one report tells of the paths that somebody could not read."""

    def __init__(self, report: Report, paths: set[str]) -> None:
        self.entries: dict[str, FileEntry] = {}
        self._pruned: list[str] = []
        for entry in report.files():
            path = printable(entry.raw)
            if entry.state == State.EXCLUDED:
                self._pruned.append(path.rstrip("/"))
            if path in paths:
                self.entries[path] = entry

    def left_out(self, path: str) -> bool:
        """Whether the scan was told not to read it, or something else is mounted there."""
        return any(path == one or path.startswith(one + "/") for one in self._pruned)


def _rule(spot: BlindSpot, side: str, known: dict[str, _Known], source: Report) -> str | None:
    own = known[side]
    if own.left_out(spot.path):
        return "left-out"
    if spot.reason == VANISHED and not any(spot.path in one.entries for one in known.values()):
        return "went-away"
    # Whether the copy has the contents that the table tells of is asked of the files.
    if spot.reason in (MOVING, OVERTAKEN) and spot.path in own.entries and own.entries[spot.path].sha256:
        return "read-in-motion"
    redacted = spot.path in {secret.path for secret in source.head.redacted}
    if spot.path in TABLES and spot.reason.endswith(_NO_ACCOUNT) and source.head.overlay and not redacted:
        return "compared-as-text"
    return None
