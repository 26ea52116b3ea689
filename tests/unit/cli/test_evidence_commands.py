"""`forgelet image evidence` and `forgelet verify --bundle`."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

FOUND = {
    "sha256": "ab",
    "faithful": True,
    "strict": False,
    "proven": {"source": "docker:web", "scan_digest": "s", "copy_digest": "c", "image": "i"},
    "scopes": {"files": {"equal": 9, "explained": 1, "unexplained": 0}},
    "attested": ["/var/log/a: it begins with the source's bytes"],
}


def test_the_evidence_is_written_whole_and_the_line_that_checks_it_is_said(fake: Any, forgelet: Any, tmp_path: Path) -> None:
    fake.mine("GET", "images/3/evidence", "archive")
    place = tmp_path / "e.tar.gz"
    result = forgelet("image", "evidence", "--id", "3", "--file", str(place))
    assert (result.code, place.read_text()) == (0, "archive")
    assert f"forgelet verify --bundle {place} --sha256 {hashlib.sha256(b'archive').hexdigest()}" in result.out


@pytest.mark.parametrize(("faithful", "code", "word"), [(True, 0, "OK: the evidence holds"), (False, 4, "DIFFERENT: the evidence holds")])
def test_a_bundle_is_checked_without_any_service(forgelet: Any, monkeypatch: pytest.MonkeyPatch, faithful: bool, code: int, word: str) -> None:
    asked: list[tuple[Path, str]] = []

    def recheck(bundle: Path, sha256: str, *, strict: bool) -> dict[str, Any]:
        asked.append((bundle, sha256))
        return {**FOUND, "faithful": faithful, "strict": strict}

    monkeypatch.setattr("emulator.local.recheck", recheck)
    result = forgelet("verify", "--bundle", "/x/e.tar.gz", "--sha256", "ab")
    assert (result.code, asked) == (code, [(Path("/x/e.tar.gz"), "ab")])
    assert word in result.out and "it begins with the source's bytes" in result.out and "compare it with" not in result.out
    assert json.loads(forgelet("verify", "--bundle", "/x/e.tar.gz", "-o", "json").out) == {**FOUND, "faithful": faithful}
    assert "compare it with what its maker told you" in forgelet("verify", "--bundle", "/x/e.tar.gz").out


def test_a_bundle_can_be_checked_strictly(forgelet: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emulator.local.recheck", lambda bundle, sha256, *, strict: {**FOUND, "faithful": not strict, "strict": strict})
    result = forgelet("verify", "--bundle", "/x/e.tar.gz", "--strict")
    assert result.code == 4 and "the copy is not strictly the source: what rules explain counts" in result.out
    assert forgelet("verify", "--bundle", "/x/e.tar.gz").code == 0


def test_what_is_no_bundle_is_the_users_mistake_or_a_damaged_one(forgelet: Any, tmp_path: Path) -> None:
    assert forgelet("verify", "--bundle", str(tmp_path / "gone")).code == 1
    (tmp_path / "text").write_text("no archive")
    assert forgelet("verify", "--bundle", str(tmp_path / "text")).code == 5
