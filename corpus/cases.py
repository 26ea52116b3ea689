"""The cases of `cases.toml`, and what came of them: one record a case, kept in docs/corpus.json."""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
DOCS = HERE.parent / "docs"
SCOPES = ("packages", "files", "users", "services")


@dataclass(frozen=True, slots=True)
class Case:
    """One live system by one route; see the head of `cases.toml`."""

    name: str
    route: str
    what: str
    system: str = ""
    of: str = ""
    drift: dict[str, int] = field(default_factory=dict)
    probes: tuple[str, ...] = ()


def cases(wanted: list[str]) -> list[Case]:
    """Those that are named, or all. Raises SystemExit for a name that is none."""
    listed = [Case(**{**one, "probes": tuple(one.get("probes", ()))}) for one in tomllib.loads((HERE / "cases.toml").read_text())["case"]]
    if unknown := set(wanted) - {one.name for one in listed}:
        raise SystemExit(f"there is no case {', '.join(sorted(unknown))}; there are {', '.join(one.name for one in listed)}")
    return [one for one in listed if not wanted or one.name in wanted]


def record(case: Case, found: dict[str, Any]) -> None:
    """Write down what came of the case, and the table anew."""
    known = _known()
    known[case.name] = found
    (DOCS / "corpus.json").write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
    (DOCS / "corpus.md").write_text(table(known))


def _known() -> dict[str, Any]:
    path = DOCS / "corpus.json"
    known: dict[str, Any] = json.loads(path.read_bytes()) if path.exists() else {}
    return known


def table(known: dict[str, Any]) -> str:
    """The page: every case that there is, in order; one that was never run says so."""
    lines = [
        "# The corpus",
        "",
        "Every live system by every route: scanned, built, booted, and the copy compared with its source. Made by `make corpus`",
        "(`CASES=\"…\"` runs some of them); each row is the last run of its case. Differences are counted per scope: equal / explained by a rule",
        "of the closed list / unexplained.",
        "",
        "| case | what | route | run | system | packages | files | users | services | probes | unexplained |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
        *(_row(case, known.get(case.name)) for case in cases([])),
    ]
    return "\n".join(lines) + "\n"


def _row(case: Case, found: dict[str, Any] | None) -> str:
    route = case.route + (f", {case.drift['count']} random changes (seed {case.drift['seed']})" if case.drift else "")
    if found is None:
        return f"| {case.name} | {case.what} | {route} | never run | | | | | | | |"
    if "error" in found:
        return f"| {case.name} | {case.what} | {route} | {found['date']} | | | | | | | failed: {found['error']} |"
    sums = [" / ".join(str(found["scopes"][scope][key]) for key in ("equal", "explained", "unexplained")) for scope in SCOPES]
    probes = f"{sum(found['probes'])} of {len(found['probes'])} equal" if found["probes"] else "none"
    worse = ", ".join(["", *found.get("problems", [])])
    return f"| {case.name} | {case.what} | {route} | {found['date']} | {found['distribution']} | {' | '.join(sums)} | {probes} | **{found['unexplained']}**{worse} |"
