"""What is proven: of each call of UForge's, and of each feature, from `docs/evidence.json` and from what the tests are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reference.text import code, heading, table

ROOT = Path(__file__).parents[2]
EVIDENCE = ROOT / "docs/evidence.json"
FEATURES = ROOT / "docs/features.json"
CORPUS, README = ROOT / "docs/corpus.md", ROOT / "README.md"
BEGIN, END = "<!-- figures: scripts/figures.py -->", "<!-- end of figures -->"
WORDS = {
    "hammr": "driven by the real client",
    "cli": "driven by our command line",
    "probed": "probed by a test's own request",
    "refused": "refused, with the reason",
    "none": "unknown: no evidence yet",
}
FEATURE_WORDS = {"tests": "by tests of every run", "hand": "by hand, once", "unknown": "unknown"}


def calls() -> list[dict[str, Any]]:
    return list(json.loads(EVIDENCE.read_text(encoding="utf-8")))


def features() -> list[dict[str, Any]]:
    """Each with `feature`, `tests` (files, or tests of them, that prove it: `scripts/features.py`), `hand` (what was seen by hand), `unknown` (what was not)."""
    return list(json.loads(FEATURES.read_text(encoding="utf-8")))


def page() -> str:
    told = calls()
    counts = [(words, str(sum(one["evidence"] == name for one in told))) for name, words in WORDS.items()]
    rows = [(str(number), one["method"], code(one["path"]), WORDS[one["evidence"]] + (f": {one['reason']}" if one.get("reason") else "")) for number, one in enumerate(told, 1)]
    lines = heading(
        "What is proven",
        "Of each feature and of each of UForge's calls: how it was seen to work. The calls are from the journal of a run of the tests, in which the "
        "real hammr 3.8.13 is one of the clients; `make test` fails when a call has lost its evidence.",
    )
    return "\n".join([*lines, "## Features", "", *table(("feature", "proven by tests of every run", "seen by hand", "unknown"), map(feature, features())),
                      "## Calls", "", *table(("evidence", "calls"), counts), *table(("#", "method", "path", "evidence"), rows)])


def summary() -> str:
    """The figures that the README shows, between its two marks."""
    told, all_features, rows = calls(), features(), corpus()
    tested = sum(bool(one.get("tests")) for one in all_features)
    figures = [
        *((f"of UForge's {len(told)} calls, {words}", str(sum(one["evidence"] == name for one in told))) for name, words in WORDS.items() if any(one["evidence"] == name for one in told)),
        (f"of {len(all_features)} features, proven by tests of every run", str(tested)),
        (f"of {len(rows)} migrations of live systems ([the corpus](docs/corpus.md)), without one unexplained difference", str(sum(row.endswith("**0** |") for row in rows))),
    ]
    return "\n".join([BEGIN, "", *table(("what", "how many"), figures), END])


def corpus() -> list[str]:
    """The rows of the corpus's table."""
    return [line for line in CORPUS.read_text(encoding="utf-8").splitlines() if line.startswith("| ") and not line.startswith(("| case", "| ---"))]


def shown(readme: str) -> str:
    """The README with the figures of now. Raises ValueError when it has no place for them."""
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{README.name} has no place for the figures: {BEGIN} … {END}")
    return before + summary() + after


def feature(one: dict[str, Any]) -> tuple[str, str, str, str]:
    return one["feature"], ", ".join(code(path) for path in one.get("tests", ())) or "no", one.get("hand", ""), one.get("unknown", "")


def is_test(proof: str) -> bool:
    """Whether there is such a file of tests, or such a test in it, and a whole run has it: `make test` leaves two folders out."""
    path, _, name = proof.partition("::")
    file = ROOT / path
    return file.is_file() and not path.startswith(("tests/nova/", "tests/lessons/")) and (not name or f"def {name}(" in file.read_text(encoding="utf-8"))


def undocumented() -> Iterator[str]:
    yield from (f"{one['feature']}: {proof} is no test" for one in features() for proof in one.get("tests", ()) if not is_test(proof))
    yield from (f"{one['feature']}: nothing proves it, and it is not told as unknown" for one in features() if not any(one.get(key) for key in ("tests", "hand", "unknown")))
    if shown(readme := README.read_text(encoding="utf-8")) != readme:
        yield "README.md: its figures are old: scripts/figures.py"
    yield from (f"{one['method']} {one['path']}: '{one['evidence']}' has no words" for one in calls() if one["evidence"] not in WORDS)
