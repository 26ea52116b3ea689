"""An account's password is in no answer, file, log or archive, whatever way it was given: sealed in the database, and nowhere else."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from builders.errors import CloudRefused
from builders.spec import parse
from emulator.jobs import templates
from emulator.jobs.inprocess import InProcessQueue
from emulator.jobs.outcome import Outcome
from emulator.jobs.tasks import Assignment
from emulator.service import Service

BASE = "/api/users/root"
PASSWORD = "open-sesame-of-the-cloud"
ACCOUNT = {"type": "OpenStack", "name": "cloud", "glanceUrl": "http://g", "keystoneUrl": "http://k", "keystoneVersion": "v3", "login": "me", "password": PASSWORD}
BUILDER = {"type": "openstack", "hardwareSettings": {"memory": 1024}, "installation": {"diskSize": 2000}, "account": ACCOUNT}
STACK = {"name": "plain", "version": "1.0", "os": {"name": "Debian", "version": "12", "arch": "x86_64", "pkgs": [{"name": "nginx"}]}}


@pytest.fixture
def service(service: Service, tasks: Any) -> Service:
    """Exports and imports for real as well."""
    table: dict[str, Callable[[Assignment], Outcome]] = {**tasks.table(), "export": templates.export, "import": templates.read}
    service.queue = InProcessQueue(service.ledger, service.folders, table)
    return service


@pytest.fixture
def told(drive: Any, monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Every answer of the service."""
    answers: list[bytes] = []
    real = drive.http.send

    def send(*given: Any, **named: Any) -> Any:
        answer = real(*given, **named)
        answers.append(answer.read())
        return answer

    monkeypatch.setattr(drive.http, "send", send)
    return answers


def written(folder: Path) -> list[Path]:
    """Files in which the password can be read, archives opened."""
    found = []
    for path in folder.rglob("*"):
        if path.is_file():
            contents = [path.read_bytes()]
            if path.name.endswith(".tar.gz"):
                with tarfile.open(path) as tar:
                    contents += [tar.extractfile(one).read() for one in tar if one.isfile()]  # type: ignore[union-attr]
            found += [path] if any(PASSWORD.encode() in one for one in contents) else []
    return found


def archive(document: dict[str, Any]) -> bytes:
    out, text = io.BytesIO(), yaml.safe_dump(document).encode()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        info = tarfile.TarInfo("template.yml")
        info.size = len(text)
        tar.addfile(info, io.BytesIO(text))
    return out.getvalue()


def test_whatever_way_the_password_comes_it_is_sealed(drive: Any, told: list[bytes], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    kept = {key: value for key, value in ACCOUNT.items() if key != "type"}
    assert drive.http.post(f"{BASE}/accounts", json={**kept, "targetPlatform": {"name": "OpenStack"}}).status_code == 201
    text = yaml.safe_dump({"builders": [BUILDER]})

    # A builder whose account is written out: built, rehearsed, published by.
    scan = drive.scan(overlay=True)
    image = drive.build(scan, text).json()["images"]["image"][0]
    assert drive.service.queue.wait(image["jobId"], 10)
    assert drive.http.post(f"/api/{scan['uri']}/rehearsals", json={"fileName": "b.yml", "text": text}).status_code == 200
    drive.build(scan, text.replace("2000", "1"))
    sent = drive.http.post(f"{BASE}/images/{image['dbId']}/publications", json={"fileName": "b.yml", "text": text})
    assert sent.status_code == 201, sent.text
    assert drive.service.queue.wait(sent.json()["jobId"], 10)

    # A migration.
    made = drive.http.post(f"{BASE}/migrations/launches", json={"name": "web", "target": "docker:web", "builder": BUILDER})
    assert made.status_code == 201, made.text
    while drive.http.get(f"{BASE}/migrations/{made.json()['dbId']}").json()["state"] == "running":
        drive.service.stopping.wait(0.02)

    # A template whose file has builders too, and its export.
    begun = drive.http.post(f"{BASE}/imports").json()
    drive.http.post(f"{BASE}/imports/{begun['dbId']}/uploads", content=archive({"stack": STACK, "builders": [BUILDER]}), headers={"Content-Type": "application/xml"})
    number = drive.http.get(f"{BASE}/imports/{begun['dbId']}").json()["jobId"]
    assert drive.service.queue.wait(number, 10)
    [template] = drive.http.get(f"{BASE}/appliances").json()["appliances"]["appliance"]
    exported = drive.http.post(f"/api/{template['uri']}/exports", params={"outputFormat": "yaml"}).json()
    assert drive.service.queue.wait(exported["jobId"], 10)
    packed = drive.http.get(f"/api/{exported['uri']}/downloads").content
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        assert [PASSWORD.encode() in tar.extractfile(one).read() for one in tar if one.isfile()] == [False]  # type: ignore[union-attr]

    # What the cloud refuses, and lists of everything.
    drive.service.rooms.fake_cloud.refuse = CloudRefused("no", hint="else")
    drive.http.post(f"/api/{image['uri']}/pimages", json={"credAccount": {"name": "cloud"}})
    for path in ("accounts", "accounts/2", "accounts/2/standing", "pimages", "migrations", "images", "appliances"):
        drive.http.get(f"{BASE}/{path}")
    for job in drive.service.ledger.jobs():
        drive.http.get(f"/_forgelet/jobs/{job.id}")
        drive.http.get(f"/_forgelet/jobs/{job.id}/log")
    assert drive.http.post("/_forgelet/secrets/rotation").json() == {"resealed": 1}

    assert len(told) > 20
    assert [answer for answer in told if PASSWORD.encode() in answer] == []
    assert written(drive.service.folders.data) == []
    assert PASSWORD not in caplog.text


def test_the_password_would_be_found(tmp_path: Path) -> None:
    (tmp_path / "a.tar.gz").write_bytes(archive({"stack": STACK, "builders": [BUILDER]}))
    (tmp_path / "log").write_text(f"x{PASSWORD}x")
    assert {path.name for path in written(tmp_path)} == {"a.tar.gz", "log"}


def test_of_an_account_that_is_written_out_its_name_is_kept() -> None:
    [spec] = parse(yaml.safe_dump({"builders": [BUILDER]}), "b.yml")
    assert spec.publishing["account"] == {"type": "OpenStack", "name": "cloud"}
