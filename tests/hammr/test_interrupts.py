"""Ctrl-C while the real client polls: it asks where it asks, and the service is left as was answered. Publishing and deploying are in
`test_clouds.py`, ending an instance in `test_prompts.py`, builds in `test_templates.py`, scans in `test_scan_run.py`.

Where the client does not ask it says `Exiting command...` and ends with 0; the service goes on, and hears no more of it.
"""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import pytest
from support.hammr import Hammr, Polls
from support.planted import planted_template, planted_tree
from support.service import Service

pytestmark = pytest.mark.hammr

BASE = "/api/users/root"
TEMPLATE = "stack: {name: web, version: '1.0', os: {name: Debian, version: '12', arch: x86_64}}\n"
BUNDLE = "{name: tools, version: '1.0', files: [{name: curl, source: curl, tag: ospkg}]}\n"


@pytest.fixture(scope="module")
def scan(service: Service, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    made = service.scan(planted_tree(tmp_path_factory.mktemp("tree")))
    assert service.ended(made["jobId"])["state"] == "done"
    return made


@pytest.mark.parametrize(("answer", "state"), [("y", "cancelled"), ("n", "running")])
def test_scan_import_is_stopped_when_it_is_said_so(hammr: Hammr, service: Service, scan: dict[str, Any], polls: Polls, answer: str, state: str) -> None:
    service.fault("scan-import.copy", "hang")
    words = ("scan", "import", "--id", str(scan["dbId"]), "--name", f"of-scan-{answer}", "--version", "1")
    said = hammr.interrupted(words, polls(r"scannedinstances/\d+/scans/\d+/imports/status", "scan-import.copy"), typed=f"{answer}\n")
    assert "Do you want to cancel the job ?" in said.text
    job = service.newest_job()
    assert job["kind"] == "scan-import"
    if state == "running":
        assert service.job(job["dbId"])["state"] == "running"
        assert service.http.delete(f"/_forgelet/jobs/{job['dbId']}").status_code == 202
    assert service.ended(job["dbId"])["state"] == "cancelled"
    assert f"of-scan-{answer}" not in _names(service, "template")


def test_template_export_goes_on_without_the_client(hammr: Hammr, service: Service, polls: Polls) -> None:
    number = planted_template(service)["dbId"]
    service.fault("export.pack", "hang")
    archive = hammr.home / "never.tar.gz"
    words = ("template", "export", "--id", str(number), "--file", str(archive))
    hammr.interrupted(words, polls(rf"appliances/{number}/exports/\d+/status", "export.pack"))
    job = service.newest_job()
    assert (job["kind"], service.job(job["dbId"])["state"]) == ("export", "running")
    assert not archive.exists()
    assert service.http.delete(f"/api/{job['subjectUri']}").status_code == 204
    assert service.ended(job["dbId"])["state"] == "cancelled"
    assert list((service.data / "exports").iterdir()) == []


@pytest.mark.parametrize(
    ("noun", "name", "text", "stage", "path"),
    [
        ("template", "web", TEMPLATE, "import.read", r"imports/\d+/status"),
        ("bundle", "tools", BUNDLE, "bundle-import.read", r"bundleimports/\d+/status"),
    ],
)
def test_what_was_sent_is_there_when_its_job_is_done_or_not_at_all(
    hammr: Hammr, service: Service, tmp_path: Path, polls: Polls, noun: str, name: str, text: str, stage: str, path: str
) -> None:
    (tmp_path / "f.yml").write_text(text)
    service.fault(stage, "hang")
    command = (noun, "create", "--file", str(tmp_path / "f.yml"))
    hammr.interrupted(command, polls(path, stage))
    job = service.newest_job()
    assert service.job(job["dbId"])["state"] == "running"
    assert service.http.delete(f"/_forgelet/jobs/{job['dbId']}").status_code == 202
    assert service.ended(job["dbId"])["state"] == "cancelled"
    assert name not in _names(service, noun)
    # The name is free again.
    hammr(*command)
    assert name in _names(service, noun)


def _names(service: Service, noun: str) -> list[str]:
    (wrapper,) = service.http.get(f"{BASE}/{'appliances' if noun == 'template' else 'mysoftware'}").json().values()
    (found,) = [value for value in wrapper.values() if isinstance(value, list)]
    return [one["name"] for one in found]


def test_bundle_export_goes_on_without_the_client(hammr: Hammr, service: Service, polls: Polls) -> None:
    (number,) = [one["dbId"] for one in service.http.get(f"{BASE}/mysoftware").json()["mySoftwareList"]["mySoftware"]]
    service.fault("bundle-export.pack", "hang")
    archive = hammr.home / "never.tar.gz"
    words = ("bundle", "export", "--id", str(number), "--file", str(archive))
    hammr.interrupted(words, polls(rf"mysoftware/{number}/exports/\d+/status", "bundle-export.pack"))
    job = service.newest_job()
    assert (job["kind"], service.job(job["dbId"])["state"]) == ("bundle-export", "running")
    assert not archive.exists()
    assert service.http.delete(f"/api/{job['subjectUri']}").status_code == 204
    assert service.ended(job["dbId"])["state"] == "cancelled"


@pytest.mark.parametrize(
    ("noun", "stage", "path"), [("template", "import.read", r"imports/\d+/status"), ("bundle", "bundle-import.read", r"bundleimports/\d+/status")]
)
def test_what_is_imported_goes_on_without_the_client(hammr: Hammr, service: Service, polls: Polls, tmp_path: Path, noun: str, stage: str, path: str) -> None:
    archive = _archive(tmp_path / "a.tar.gz", noun, (TEMPLATE if noun == "template" else BUNDLE).replace("'1.0'", "'2.0'", 1))
    before = _names(service, noun)
    service.fault(stage, "hang")
    hammr.interrupted((noun, "import", "--file", str(archive)), polls(path, stage))
    job = service.newest_job()
    assert service.job(job["dbId"])["state"] == "running"
    assert service.http.delete(f"/_forgelet/jobs/{job['dbId']}").status_code == 202
    assert service.ended(job["dbId"])["state"] == "cancelled"
    assert _names(service, noun) == before


def _archive(file: Path, noun: str, text: str) -> Path:
    with tarfile.open(file, "w:gz") as tar:
        info = tarfile.TarInfo(f"{noun}.yml")
        info.size = len(text)
        tar.addfile(info, io.BytesIO(text.encode()))
    return file
