"""`forgelet cache`, and what --offline sends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from .test_scan_commands import BELOW, LIST

BASE = {"kind": "base", "name": "ab12", "what": "bookworm amd64, 228 packages, 2000 MiB", "size": 900 * 2**20, "used": 1.7e9, "place": "/x"}
PACKAGES = [{"kind": "package", "name": f"x_{n}_all.deb", "what": "", "size": 2**20, "used": 1.6e9, "place": "/x"} for n in (1, 2)]
TOLD = {"size": 902 * 2**20, "limit": 20480 * 2**20, "entries": {"entry": [BASE, *PACKAGES]}}


def test_bases_are_listed_one_by_one_and_packages_as_a_sum(fake: Any, forgelet: Any) -> None:
    fake.answers["GET /_forgelet/cache"] = TOLD
    result = forgelet("cache", "list")
    assert result.code == 0
    assert "ab12" in result.out and "bookworm amd64, 228 packages, 2000 MiB" in result.out and "2023-11-14 22:13" in result.out
    assert "x_1_all.deb" not in result.out
    (row,) = [line for line in result.out.splitlines() if "package " in line]
    assert "2.0 MiB" in row
    assert "FORGELET_CACHE_SIZE" in result.out


def test_as_json_everything_is_there(fake: Any, forgelet: Any) -> None:
    fake.answers["GET /_forgelet/cache"] = TOLD
    assert json.loads(forgelet("cache", "list", "-o", "json").out) == TOLD


@pytest.mark.parametrize(("words", "query"), [((), {}), (("--size", "500"), {"size": "500"})])
def test_pruning_says_what_went(fake: Any, forgelet: Any, words: tuple[str, ...], query: dict[str, str]) -> None:
    fake.answers["POST /_forgelet/cache/prune"] = {"removed": {"entry": PACKAGES}}
    result = forgelet("cache", "prune", *words)
    assert fake.asked == [("POST /_forgelet/cache/prune", query)]
    assert "... removed package x_1_all.deb" in result.out
    assert "OK: 2 removed" in result.out


@pytest.mark.parametrize("argv", [("scan", "build", "--id", "149"), ("scan", "rehearse", "--id", "149"), ("template", "build", "--id", "4"), ("template", "rehearse", "--id", "4")])
def test_offline_is_asked_of_the_service(fake: Any, forgelet: Any, tmp_path: Path, argv: tuple[str, ...]) -> None:
    (tmp_path / "b.yml").write_text("builders: []")
    fake.mine("GET", "scannedinstances", LIST)
    for path in (f"{BELOW}/builds", "appliances/4/builds"):
        fake.mine("POST", path, (201, {"images": {"image": []}}))
    for path in (f"{BELOW}/rehearsals", "appliances/4/rehearsals"):
        fake.mine("POST", path, {"rehearsals": {"rehearsal": []}})
    assert forgelet(*argv, "--file", str(tmp_path / "b.yml"), "--offline").code == 0
    assert fake.asked[-1][1]["offline"] is True
    assert forgelet(*argv, "--file", str(tmp_path / "b.yml")).code == 0
    assert "offline" not in fake.asked[-1][1]
