"""The job of a proof: what it leaves behind, and how it ends."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from builders.image import Fidelity, Scope
from emulator.jobs.tasks import verify


@pytest.mark.parametrize(
    ("explained", "unexplained", "strict", "code", "words"),
    [
        (0, 0, True, 0, "The copy is the source"),
        (3, 0, False, 0, "The copy is the source"),
        (3, 0, True, 4, "3 explained differences, which count here (strict)"),
        (3, 2, True, 4, "2 unexplained differences"),
        (3, 2, False, 4, "2 unexplained differences"),
    ],
)
def test_a_proof_ends_as_its_report_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, explained: int, unexplained: int, strict: bool, code: int, words: str
) -> None:
    def prove(*where: object, strict: bool, **options: Any) -> Fidelity:
        return Fidelity(scopes={"files": Scope(equal=1, explained=explained, unexplained=unexplained)}, strict=strict)

    monkeypatch.setattr("builders.verify.verify", prove)
    folders = SimpleNamespace(scan=lambda number: tmp_path, image=lambda number: tmp_path)
    asked = {"scan": 1, "image": 2, "probes": [], "source": "", "strict": strict}
    ended = verify(SimpleNamespace(arguments=asked, folders=folders, work=tmp_path, progress=None, secret="", result=tmp_path))  # type: ignore[arg-type]
    assert (ended.exit_code, ended.message) == (code, words)
    assert Fidelity.model_validate_json((tmp_path / "fidelity.json").read_bytes()).strict == strict
    assert ("The copy is the source" in (tmp_path / "fidelity.html").read_text()) == (code == 0)
