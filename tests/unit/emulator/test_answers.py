"""What is written down of answers, and what is not."""

from __future__ import annotations

import importlib.util
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


def test_a_refusal_is_kept_with_its_reason_in_either_form(lines: Any) -> None:
    assert "login" in json.loads(lines[1]["refusal"])["uforgeError"]["localizedErrorMsg"]["message"]


def load() -> Any:
    spec = importlib.util.spec_from_file_location("evidence", Path(__file__).parents[3] / "scripts/evidence.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_evidence_tells_why_a_call_was_refused_and_merges_by_strength(tmp_path: Path) -> None:
    evidence = load()
    said = {"method": "GET", "client": "python-requests/2.13.0"}
    error = {"uforgeError": {"localizedErrorMsg": {"message": "there is no bundle 7"}}}
    (tmp_path / "1.ndjson").write_text(
        "\n".join(
            json.dumps({**said, **line})
            for line in (
                {"path": "/api/users/root/mysoftware/7", "status": 404, "client": "x", "refusal": json.dumps(error)},
                {"path": "/api/users/root/mysoftware/7/templates/1", "status": 404, "body": "<e><message>no &lt;one&gt; 1</message></e>"},
                {"path": "/api/users/root/mysoftware", "status": 200},
                {"path": "/api/users/root/orgs", "status": 401},
            )
        )
    )
    calls = {(call["method"], call["path"]): call for call in evidence.collect(tmp_path)}
    bundle = calls["GET", "/users/{uid}/mysoftware/{msid}"]
    assert (bundle["evidence"], bundle["reason"]) == ("refused", "there is no bundle N")
    assert calls["GET", "/users/{uid}/mysoftware/{msid}/templates/{tid}"]["reason"] == "no <one> N"
    assert calls["GET", "/users/{uid}/mysoftware"]["evidence"] == "hammr"
    assert calls["GET", "/users/{uid}/orgs"]["evidence"] == "none"
    assert "refused, with the reason: there is no bundle N |" in evidence.page([bundle])
    kept = [{"method": "GET", "path": "/a", "evidence": "cli"}, {"method": "GET", "path": "/b", "evidence": "none"}]
    new = [{"method": "GET", "path": "/a", "evidence": "none"}, {"method": "GET", "path": "/b", "evidence": "hammr"}]
    assert [call["evidence"] for call in evidence.merged(kept, new)] == ["cli", "hammr"]
