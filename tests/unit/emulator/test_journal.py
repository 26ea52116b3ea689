"""What is written down of answers, and what is not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from emulator.app import make_app


@pytest.fixture
def lines(service: Any, tmp_path: Path) -> Any:
    service.settings.journal = tmp_path / "journal"
    with TestClient(make_app(service)) as http:
        http.get("/api/status?apiKey=a&signature=secret", headers={"Accept": "application/xml", "User-Agent": "somebody"}, auth=("root", "forgelet"))
        http.get("/api/status", headers={"Accept": "application/json"})
    (file,) = (tmp_path / "journal").iterdir()
    assert file.stat().st_mode & 0o077 == 0
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_an_xml_answer_is_kept_with_who_asked_for_what(lines: Any) -> None:
    first, second = lines
    assert (first["method"], first["path"], first["status"], first["client"]) == ("GET", "/api/status", 200, "somebody")
    assert "<version>3.8.13</version>" in first["body"]
    assert second["status"] == 401
    assert "body" not in second


def test_no_signature_and_no_password_is_kept(lines: Any) -> None:
    assert "secret" not in json.dumps(lines)
    assert "forgelet" not in json.dumps([{key: value for key, value in line.items() if key != "body"} for line in lines])
