"""What is written down of answers, and what is not."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from emulator.app import make_app
from emulator.control.answers import asked


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
    assert (first["asked"], second["asked"]) == (["apiKey", "signature"], [])
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
    sys.modules["evidence"] = module
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
                {"path": "/api/users/root/mysoftware/7/templates/1", "status": 404, "body": "<e><message>there is no bundle 7</message></e>"},
                {"path": "/api/users/root/mysoftware/7/templates/1", "status": 404, "body": "<e><message>no &lt;one&gt; 1: container images are not built</message></e>"},
                {"path": "/api/users/root/mysoftware", "status": 200},
                {"path": "/api/users/root/orgs", "status": 401},
            )
        )
    )
    calls = {(call["method"], call["path"]): call for call in evidence.collect(tmp_path)}
    bundle = calls["GET", "/users/{uid}/mysoftware/{msid}"]
    assert bundle["evidence"] == "none", "that one thing was not found says nothing of the call"
    container = calls["GET", "/users/{uid}/mysoftware/{msid}/templates/{tid}"]
    assert container["reason"] == "no <one> N: container images are not built"
    assert calls["GET", "/users/{uid}/mysoftware"]["evidence"] == "hammr"
    assert calls["GET", "/users/{uid}/orgs"]["evidence"] == "none"
    assert "refused, with the reason: no <one> N: container images are not built |" in evidence.page([container])
    kept = [{"method": "GET", "path": "/a", "evidence": "cli"}, {"method": "GET", "path": "/b", "evidence": "none"}]
    new = [{"method": "GET", "path": "/a", "evidence": "none"}, {"method": "GET", "path": "/b", "evidence": "hammr"}]
    assert [call["evidence"] for call in evidence.merged(kept, new)] == ["cli", "hammr"]


def test_calls_that_differ_by_their_query_only_are_told_apart(tmp_path: Path) -> None:
    evidence = load()
    base, scan = "/api/users/root", "/api/users/root/scannedinstances/1/scans/1"
    lines = {
        18: (f"{base}/scannedinstances", b"includeScans=true"),
        19: (f"{base}/scannedinstances", b"includeScans=true&name=web"),
        24: (scan, b"validated=false&pkgs=false&added=false&pkgFiles=false&apiKey=a&signature=s"),
        25: (scan, b""),
        28: (f"{scan}/imports/status/", b"i=users/root/x"),
        39: (f"{base}/appliances", b""),
        40: (f"{base}/appliances", b"query=name%3D%3D%27web%27%3Bversion%3D%3D%271.0%27"),
        41: (f"{base}/appliances", b"query=dbId==1"),
    }
    for row, (path, query) in lines.items():
        said = {"method": "GET", "path": path, "asked": asked(query), "client": "python-requests/2.13.0", "status": 200}
        (tmp_path / "1.ndjson").write_text(json.dumps(said))
        assert [number for number, call in enumerate(evidence.collect(tmp_path), 1) if call["evidence"] == "hammr"] == [row]


def test_of_a_query_its_keys_are_kept_and_no_value() -> None:
    assert asked(b"query=name=='secret';version=='1.0'&outputFormat=yaml&force") == ["force", "outputFormat", "query.name", "query.version"]
    assert asked(b"query=odd&signature=abc") == ["query", "signature"]


def test_a_call_that_loses_its_evidence_fails_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    evidence = load()
    journal = tmp_path / "journal"
    journal.mkdir()
    said = {"method": "GET", "asked": [], "client": "forgelet", "status": 200}
    (journal / "1.ndjson").write_text("\n".join(json.dumps({**said, "path": path}) for path in ("/api/status", "/api/users/root/appliances")))
    monkeypatch.setattr(evidence, "KEPT", tmp_path / "evidence.json")
    monkeypatch.setattr(evidence, "PAGE", tmp_path / "evidence.md")
    monkeypatch.setattr("sys.argv", ["evidence.py", str(journal), "--write"])
    evidence.main()
    monkeypatch.setattr("sys.argv", ["evidence.py", str(journal)])
    evidence.main()
    assert "no call lost" in capsys.readouterr().out
    (journal / "1.ndjson").write_text(json.dumps({**said, "path": "/api/status"}))
    with pytest.raises(SystemExit) as ended:
        evidence.main()
    assert str(ended.value).splitlines() == ["calls that lost their evidence:", "row 39, GET /users/{uid}/appliances: no evidence yet, and was driven by our command line"]


def test_with_no_answers_at_all_the_program_itself_fails(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, Path(__file__).parents[3] / "scripts/evidence.py", tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "GET /status: no evidence yet, and was driven by the real client" in done.stderr
