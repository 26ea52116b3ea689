"""evidence.py JOURNAL [--write | --merge]: what a run of the tests proved of each of the 87 calls, held against `docs/evidence.json`.

Strongest first: `hammr` (the real client got what it asked for), `cli` (our command line did), `probed` (a test's own request did), `refused`
(told the reason why not), `none`. Fails when a call has less than is written there; `--write` writes it and the page `docs/evidence.md`,
`--merge` does so with what a part of the tests proved, and keeps the rest.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
CALLS = ROOT / "tests/support/endpoints.json"
KEPT, PAGE = ROOT / "docs/evidence.json", ROOT / "docs/evidence.md"
STRENGTH = ("none", "refused", "probed", "cli", "hammr")
REFUSED = {("GET", "/users/{uid}/mysoftware/{msid}/templates/{tid}"): "container images are not built"}
"""Calls of which it is right that they find nothing, and what they must say then."""
WORDS = {
    "hammr": "driven by the real client",
    "cli": "driven by our command line",
    "probed": "probed by a test's own request",
    "refused": "refused, with the reason",
    "none": "no evidence yet",
}


def pattern(path: str) -> re.Pattern[str]:
    """What paths a call of the table has; `/resources` lies beside the API, and downloads have the address that the service tells."""
    if path.endswith("{image.downloadUri}"):
        return re.compile(r"/api/downloads/\d+/[^/]+")
    path = path.replace("{base URL minus its last path segment}", "") if "/resources/" in path else "/api" + path
    # Both sides of a slash at the end are one call: the client sends it, and the table has it.
    return re.compile("".join("[^/]+" if part.startswith("{") else re.escape(part) for part in re.split(r"(\{[^}]+\})", path.rstrip("/"))) + "/*")


def keys(query: str) -> frozenset[str]:
    """The keys of a query as the table writes it, like the journal's `asked` (`emulator/control/answers.py`)."""
    if query.startswith("query="):
        return frozenset(f"query.{field}" for field in re.findall(r"(?:=|;)([A-Za-z.]+)==", query))
    return frozenset(part.partition("=")[0].strip() for part in query.split(",") if re.match(r"\s*\w+\s*(=|,|$)", part))


def chosen(calls: Sequence[Call], asked: Collection[str]) -> list[Call]:
    """Of the calls that a method and a path fit, the one that was made: calls that differ by their query only are told apart by its keys."""
    if len(calls) < 2:
        return list(calls)
    fits = [call for call in calls if call.keys <= set(asked)]
    return [max(fits, key=lambda call: len(call.keys))] if fits else []


@dataclass
class Call:
    """A row of the table, with the strongest evidence that was seen of it."""

    method: str
    pattern: re.Pattern[str]
    keys: frozenset[str]
    path: str
    evidence: str = "none"
    reason: str = ""

    def refuses(self, status: int, why: str) -> bool:
        """Whether this is a refusal of the call itself: a wrong password or number, for one, says nothing of it."""
        return status == 501 or (status == 404 and (self.method, self.path) in REFUSED and REFUSED[self.method, self.path] in why)

    def take(self, found: str, why: str) -> None:
        if STRENGTH.index(found) > STRENGTH.index(self.evidence):
            self.evidence, self.reason = found, why if found == "refused" else ""

    def told(self) -> dict[str, str]:
        return {"method": self.method, "path": self.path, "evidence": self.evidence, **({"reason": self.reason} if self.reason else {})}


def client(agent: str) -> str:
    """Who asked, by its User-Agent."""
    return "hammr" if agent.startswith("python-requests/2.13.0") else "cli" if agent == "forgelet" else "probed"


def answers(journal: Path) -> Iterator[dict[str, Any]]:
    for file in sorted(journal.glob("*.ndjson")):
        with file.open(encoding="utf-8") as lines:
            yield from map(json.loads, lines)


def collect(journal: Path) -> list[dict[str, str]]:
    """Each call of the table with its strongest evidence."""
    table = [Call(one["method"], pattern(one["path"]), keys(one["query"]), one["path"]) for one in json.loads(CALLS.read_text())]
    all_seen = {(one["method"], one["path"], tuple(one.get("asked", ())), client(one["client"]), one["status"], reason(one)) for one in answers(journal)}
    for method, path, asked, who, status, why in sorted(all_seen):
        for call in chosen([call for call in table if call.method == method and call.pattern.fullmatch(path)], asked):
            call.take(who if 200 <= status < 300 else "refused" if call.refuses(status, why) else "none", why)
    return [call.told() for call in table]


def reason(told: dict[str, Any]) -> str:
    """What a refusal said, numbers and the next step left out; empty for anything else."""
    if told["status"] < 400:
        return ""
    if told.get("refusal"):
        said = json.loads(told["refusal"]).get("uforgeError", {}).get("localizedErrorMsg", {}).get("message", "")
    else:
        found = re.search(r"<message>(.*?)</message>", told.get("body", ""), re.DOTALL)
        said = unescape(found[1]) if found else ""
    return re.sub(r"\b\d+\b", "N", said.partition("\n")[0])


def merged(kept: list[dict[str, str]], calls: list[dict[str, str]]) -> list[dict[str, str]]:
    """Of each call the stronger evidence; of equals the newer one."""
    return [new if STRENGTH.index(new["evidence"]) >= STRENGTH.index(old["evidence"]) else old for old, new in zip(kept, calls, strict=True)]


def page(calls: list[dict[str, str]]) -> str:
    """`docs/evidence.md`."""
    counts = [f"{sum(call['evidence'] == name for call in calls)} {words}" for name, words in WORDS.items()]
    rows = [f"| {number} | {call['method']} | `{call['path']}` | {told(call)} |" for number, call in enumerate(calls, 1)]
    head = ["# What is proven of each call", "", "Generated by `scripts/evidence.py` from a run of the tests; not to be edited by hand.", ""]
    return "\n".join([*head, "; ".join(counts) + ".", "", "| # | method | path | evidence |", "| --- | --- | --- | --- |", *rows, ""])


def told(call: dict[str, str]) -> str:
    return WORDS[call["evidence"]] + (f": {call['reason']}".replace("|", "\\|") if call.get("reason") else "")


def main() -> None:
    reader = argparse.ArgumentParser()
    reader.add_argument("journal", type=Path)
    reader.add_argument("--write", action="store_true")
    reader.add_argument("--merge", action="store_true")
    asked = reader.parse_args()
    calls = collect(asked.journal)
    if asked.merge:
        calls = merged(json.loads(KEPT.read_text()), calls)
    if asked.write or asked.merge:
        KEPT.write_text(json.dumps(calls, indent=1) + "\n")
        PAGE.write_text(page(calls))
        return
    lost = [
        f"row {number}, {call['method']} {call['path']}: {WORDS[call['evidence']]}, and was {WORDS[was['evidence']]}"
        for number, (call, was) in enumerate(zip(calls, json.loads(KEPT.read_text()), strict=True), 1)
        if STRENGTH.index(call["evidence"]) < STRENGTH.index(was["evidence"])
    ]
    if lost:
        sys.exit("\n".join(["calls that lost their evidence:", *lost]))
    print("no call lost its evidence (docs/evidence.md)")


if __name__ == "__main__":
    main()
