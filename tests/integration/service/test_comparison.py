"""Scans of a folder by the real service, compared and explained by the real command line: exit codes, odd names, one page."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.bench import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "data")
    yield made
    made.service.close()


@pytest.fixture
def scans(bench: Bench, tree: Path) -> tuple[str, str]:
    """Two scans with overlay; between them a page and a mode changed, and a file came."""
    (tree / "srv/tls").mkdir(parents=True)
    (tree / "srv/page").write_text("one\ntwo\n")
    (tree / "srv/tls/site.key").write_text("PRIVATE")
    # A name of no distribution whose archive would be asked for what it offers.
    (tree / "etc/os-release").write_text("ID=none\n")
    ids = []
    for redact in ([], ["--redact"]):
        ids.append(str(bench.json("scan", "run", "--root", str(tree), "--name", "web", "--overlay", *redact)["dbId"]))
        (tree / "srv/page").write_text("one\nTWO\n")
        (tree / "etc/new").touch()
        Path(os.fsdecode(bytes(tree) + b"/odd\xff")).chmod(0o600)
    return ids[0], ids[1]


def ids(*numbers: str) -> list[str]:
    return [word for number in numbers for word in ("--id", number)]


def test_a_scan_is_equal_to_itself_and_differs_from_the_next(bench: Bench, scans: tuple[str, str]) -> None:
    one, other = scans
    assert bench.json("scan", "compare", *ids(one, one))["equal"] is True
    found = {item["path"]: item for item in bench.json("scan", "compare", *ids(one, other), "--ignore", "mtime", code=4)["files"]}
    assert {path: item["fields"] for path, item in found.items()} == {"/etc/new": ["presence"], "/odd\udcff": ["mode"], "/srv/page": ["sha256"]}
    assert "-two\n+TWO" in found["/srv/page"]["diff"]
    assert bench.json("scan", "compare", *ids(one, other), "--scope", "packages")["equal"] is True
    assert "<title>web Scan #1 / web Scan #2</title>" in bench.cli("scan", "compare", *ids(one, other), "-o", "html", code=4)


def test_every_path_can_be_explained_the_root_and_odd_names_too(bench: Bench, scans: tuple[str, str]) -> None:
    rows = [json.loads(line) for line in bench.cli("scan", "files", "--id", scans[0], "-o", "ndjson").splitlines()]
    assert {"/", "/odd\udcff"} <= {row["path"] for row in rows}
    for row in rows:
        told = bench.json("scan", "explain", "--id", scans[0], row["path"])
        assert (told["path"], told["state"], told["reason"]) == (row["path"], row["state"], row["reason"])
    bench.cli("scan", "explain", "--id", scans[0], "/nowhere", code=1)


def test_a_redacted_scan_has_no_secret_on_disk_and_says_what_is_missing(bench: Bench, scans: tuple[str, str]) -> None:
    shown = [bench.json("scan", "show", "--id", one)["report"]["redacted"] for one in scans]
    assert shown == [[], [{"path": "/srv/tls/site.key", "secret": "private key"}]]
    actions = [bench.json("scan", "explain", "--id", one, "/srv/tls/site.key")["build"]["action"] for one in scans]
    assert actions == ["restore", "supply"]
