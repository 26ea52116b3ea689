"""GET of what differs between scans: two of them, or as many as should be alike."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse

from emulator.resources.scans import reports
from emulator.resources.scans.tables import Scan
from emulator.resources.users.tables import User
from emulator.service import Service, TheOwner, TheService
from emulator.wire.answer import dumps
from scanner.errors import NotFound, StepFailed, UserError

if TYPE_CHECKING:
    from scanner.comparison import Comparison
    from scanner.report import Report

router = APIRouter(prefix="/users/{uid}")
MOST = 32
"""Scans in one comparison."""
IN_MEMORY = 4 << 20


@router.get("/scancomparison")
def compare(
    here: TheService,
    owner: TheOwner,
    id: Annotated[list[int], Query()],
    scope: Annotated[list[str] | None, Query()] = None,
    ignore: Annotated[list[str] | None, Query()] = None,
) -> Response:
    """`scans`, then of every scope its differences (`scanner.comparison.Comparison`), `counts` and whether all is `equal`."""
    scopes = _checked(id, scope or [], ignore or [])
    scans = [_find(here, owner, one) for one in id]
    found = _made(here, owner, scans, scopes, ignore or [])
    return StreamingResponse(found.pieces(), media_type="application/json", headers={"X-Forgelet-Element": "scanComparison"})


def _checked(ids: list[int], scopes: list[str], ignore: list[str]) -> list[str]:
    from scanner.compare import FIELDS
    from scanner.comparison import SCOPES

    problems = [f"scope: there is no '{one}'; there are {', '.join(SCOPES)}" for one in scopes if one not in SCOPES]
    problems += [f"ignore: there is no field '{one}'; there are {', '.join(FIELDS)}" for one in ignore if one not in FIELDS]
    if not 2 <= len(ids) <= MOST:
        problems.append(f"id: a comparison is of 2 to {MOST} scans")
    if problems:
        raise UserError("these scans cannot be compared so", hint="forgelet scan compare --id ID --id ID", problems=problems)
    return [one for one in SCOPES if one in (scopes or SCOPES)]


def _find(here: Service, owner: User, scan_id: int) -> Scan:
    with here.database.read() as session:
        found = session.get(Scan, scan_id)
    if found is None:
        raise NotFound(f"there is no scan {scan_id}", hint="forgelet scan list")
    return found


@dataclass(frozen=True, slots=True)
class _Answer:
    """A comparison that is done: its differences as lines in a temporary file, which is gone when it was told."""

    scans: list[dict[str, Any]]
    scopes: list[str]
    comparison: Comparison
    diffs: dict[str, str]
    lines: IO[bytes]

    def pieces(self) -> Iterator[str]:
        """One JSON object, in pieces."""
        with self.lines:
            yield '{"scans":' + dumps({"scan": self.scans})
            here = ""
            for line in self.lines:
                told = json.loads(line)
                scope = told.pop("scope")
                yield self._opened(here, scope) if scope != here else ",\n"
                yield dumps(self._with_diff(told))
                here = scope
            yield self._opened(here, "")
            yield f',"counts":{dumps(self.comparison.counts)},"equal":{dumps(self.comparison.equal)}}}'

    def _opened(self, before: str, scope: str) -> str:
        """Close the list of the scope before and open that of `scope`; scopes between them have no differences."""
        start = self.scopes.index(before) + 1 if before else 0
        end = self.scopes.index(scope) if scope else len(self.scopes)
        empty = "".join(f',"{name}":[]' for name in self.scopes[start:end])
        return ("]" if before else "") + empty + (f',"{scope}":[\n' if scope else "")

    def _with_diff(self, told: dict[str, Any]) -> dict[str, Any]:
        diff = self.diffs.get(told.get("path", ""))
        return {**told, "diff": diff} if diff else told


def _made(here: Service, owner: User, scans: list[Scan], scopes: list[str], ignore: list[str]) -> _Answer:
    from scanner.comparison import Comparison
    from scanner.report import Report

    opened: list[Report] = [Report(reports.folder(here, owner, scan.instance_id, scan.id or 0)) for scan in scans]
    comparison = Comparison(opened, [scan.id or 0 for scan in scans], scopes, ignore)
    lines = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 - it is open until the answer is told
    try:
        diffs = comparison.write(lines)  # type: ignore[arg-type]
    except ValueError as error:
        lines.close()
        raise StepFailed(f"the scans cannot be compared: {error}", hint="scan again: forgelet scan run") from error
    lines.seek(0)
    return _Answer([_told(scan, report) for scan, report in zip(scans, opened, strict=True)], scopes, comparison, diffs, lines)


def _told(scan: Scan, report: Report) -> dict[str, Any]:
    head = report.head
    return {"dbId": scan.id, "name": scan.name, "created": scan.created, "digest": head.digest, "overlayIncluded": head.overlay}
