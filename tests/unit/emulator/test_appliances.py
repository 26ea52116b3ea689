"""Templates over the wire: the real routes, storage, queue and archives; only the scan and the build are faked."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from fastapi.testclient import TestClient

from builders import origins, traces
from cli.client import Client
from cli.commands.lesson import Service as Look
from emulator.jobs import templates
from emulator.jobs.inprocess import InProcessQueue
from emulator.jobs.outcome import Outcome, done
from emulator.jobs.tasks import Assignment
from emulator.lab.lessons.checks import check
from emulator.lab.lessons.state import Begun
from emulator.resources.appliances.tables import Appliance
from emulator.service import Service
from emulator.storage import stamp
from scanner.report import FileEntry, Package, ScanReport, System, file_table, write_head

BASE = "/api/users/root"
STACK = {"name": "plain", "version": "1.0", "os": {"name": "Debian", "version": "12", "arch": "x86_64", "pkgs": [{"name": "nginx"}]}}


def archive(document: dict[str, Any], *members: tuple[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, data in (*members, ("template.yml", yaml.safe_dump({"stack": document, "builders": None}).encode())):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def scan_task(todo: Assignment) -> Outcome:
    with file_table(todo.result) as lines:
        lines.write(FileEntry(path="/srv", type="directory", state="unmanaged", reason="x", mode="0755").to_json().encode() + b"\n")
    system = System(distribution="Debian", version="12", codename="bookworm", arch="x86_64", package_arch="amd64", hostname="web")
    write_head(todo.result, ScanReport(target="docker:web", system=system, packages=[Package(name="nginx", version="1", arch="amd64")]))
    return done("Successfully scanned")


@pytest.fixture
def service(service: Service, tasks: Any) -> Service:
    table: dict[str, Callable[[Assignment], Outcome]] = tasks.table()
    table.update({"scan": scan_task, "export": templates.export, "import": templates.read, "scan-import": templates.from_scan})
    service.queue = InProcessQueue(service.ledger, service.folders, table)
    return service


class Templates:
    def __init__(self, http: TestClient, service: Service) -> None:
        self.http, self.service = http, service

    def ended(self, told: dict[str, Any]) -> None:
        assert self.service.queue.wait(told["jobId"], 10)

    def upload(self, data: bytes, **options: bool) -> dict[str, Any]:
        """An import to its end."""
        made = self.http.post(f"{BASE}/imports", params={name: str(value) for name, value in options.items()}).json()
        answer = self.http.post(f"{BASE}/imports/{made['dbId']}/uploads", content=data, headers={"Content-Type": "application/xml"})
        assert answer.status_code == 201, answer.text
        told: dict[str, Any] = self.http.get(f"{BASE}/imports/{made['dbId']}").json()
        self.ended(told)
        ended: dict[str, Any] = self.http.get(f"{BASE}/imports/{made['dbId']}").json()
        return ended

    def scanned(self) -> dict[str, Any]:
        """The appliance of a scan."""
        scan = self.http.post(f"{BASE}/scannedinstances", json={"name": "web", "target": "docker:web"}).json()
        self.ended(scan)
        asked = {"importedObjectName": "fromscan", "importedObjectVersion": "1"}
        made = self.http.post(f"/api/{scan['uri']}/imports", json=asked).json()
        self.ended(made)
        statuses = self.http.get(f"/api/{scan['uri']}/imports/status/", params={"i": made["uri"]}).json()["statuses"]["status"]
        assert [one["complete"] for one in statuses] == [True]
        return self.list()[-1]

    def list(self, query: str | None = None) -> Any:
        return self.http.get(f"{BASE}/appliances", params={"query": query} if query else {}).json()["appliances"]["appliance"]

    def exported(self, appliance: dict[str, Any], format: str = "yaml") -> bytes:
        made = self.http.post(f"/api/{appliance['uri']}/exports", params={"outputFormat": format}).json()
        self.ended(made)
        answer = self.http.get(f"/api/{made['uri']}/downloads")
        assert answer.headers["content-type"] == "application/octet-stream"
        assert "content-encoding" not in answer.headers
        assert self.http.delete(f"/api/{made['uri']}").status_code == 204
        assert self.http.get(f"/api/{made['uri']}/status").status_code == 404
        return answer.content


@pytest.fixture
def drive_templates(http: TestClient, service: Service) -> Templates:
    return Templates(http, service)


def rows(service: Service) -> list[Appliance]:
    from sqlmodel import select

    with service.database.read() as session:
        return list(session.exec(select(Appliance)).all())


def test_an_uploaded_archive_becomes_a_template(drive_templates: Templates, service: Service) -> None:
    told = drive_templates.upload(archive({**STACK, "config": [{"name": "a", "source": "config/a.sh"}]}, ("config/a.sh", b"#!/bin/sh\n")))
    assert told["status"]["complete"], told
    (one,) = drive_templates.list()
    assert told["referenceUri"] == one["uri"] == "users/root/appliances/1"
    assert (one["name"], one["version"], one["distributionName"].strip(), one["archName"]) == ("plain", "1.0", "Debian 12", "x86_64")
    assert (service.folders.template(1) / "files/config/a.sh").read_bytes() == b"#!/bin/sh\n"
    assert list((service.folders.data / "uploads").iterdir()) == []


def test_every_mistake_of_an_archive_is_told_and_nothing_is_kept(drive_templates: Templates, service: Service) -> None:
    told = drive_templates.upload(archive({**STACK, "installation": {"timezone": "Mars"}}))
    assert told["status"]["error"]
    assert told["referenceUri"] == ""
    assert drive_templates.list() == []
    job = service.ledger.get(told["jobId"])
    assert any("stack.installation.timezone" in problem for problem in job.problems)
    assert not service.folders.template(1).exists()


@pytest.mark.parametrize("data", [b"", b"<xml/>", archive(STACK, ("../../evil", b"x")), archive(STACK)[:-60]], ids=["empty", "xml", "traversal", "cut"])
def test_what_is_no_archive_of_a_template_is_refused(drive_templates: Templates, service: Service, data: bytes) -> None:
    before = sorted(path.name for path in service.folders.data.parent.iterdir())
    told = drive_templates.upload(data)
    assert told["status"]["error"], told
    assert "internal fault" not in told["status"]["errorMessage"]
    assert sorted(path.name for path in service.folders.data.parent.iterdir()) == before


def test_a_clash_is_refused_and_force_replaces(drive_templates: Templates, service: Service) -> None:
    drive_templates.upload(archive(STACK))
    refused = drive_templates.upload(archive({**STACK, "description": "second"}))
    assert "already" in refused["status"]["errorMessage"]
    forced = drive_templates.upload(archive({**STACK, "description": "third"}), force=True)
    assert forced["status"]["complete"], forced
    (one,) = drive_templates.list()
    assert (one["description"], one["uri"]) == ("third", forced["referenceUri"])
    assert not service.folders.template(1).exists()


def test_lists_are_asked_by_name_version_and_number(drive_templates: Templates) -> None:
    for name in ("a", "b"):
        drive_templates.upload(archive({**STACK, "name": name}))
    assert [one["name"] for one in drive_templates.list("name=='b';version=='1.0'")] == ["b"]
    assert [one["name"] for one in drive_templates.list("dbId==1")] == ["a"]
    assert drive_templates.list("name=='b';version=='2'") == []


def test_a_scan_becomes_a_template_that_outlives_it(drive_templates: Templates, http: TestClient) -> None:
    made = drive_templates.scanned()
    assert (made["name"], made["fromScan"]) == ("fromscan", True)
    assert http.delete(f"{BASE}/scannedinstances").status_code == 204
    data = drive_templates.exported(made)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        names = tar.getnames()
        stack = yaml.safe_load(tar.extractfile("template.yml"))["stack"]  # type: ignore[arg-type]
    assert stack["os"]["pkgs"] == [{"name": "nginx", "version": "1", "arch": "amd64"}]
    assert "bundles/forgelet-scan/1.0/report.json" in names
    again = drive_templates.upload(data)
    assert "already" in again["status"]["errorMessage"]


def test_the_export_is_json_when_asked(drive_templates: Templates, http: TestClient) -> None:
    drive_templates.upload(archive(STACK))
    (one,) = drive_templates.list()
    with tarfile.open(fileobj=io.BytesIO(drive_templates.exported(one, "json"))) as tar:
        assert json.load(tar.extractfile("template.json"))["stack"]["name"] == "plain"  # type: ignore[arg-type]
    assert http.post(f"/api/{one['uri']}/exports", params={"outputFormat": "toml"}).status_code == 400


def test_a_clone_has_its_own_name_and_the_same_files(drive_templates: Templates, http: TestClient, service: Service) -> None:
    made = drive_templates.scanned()
    answer = http.post(f"/api/{made['uri']}/clones", json={"name": "other", "version": "2"})
    assert answer.status_code == 201, answer.text
    clone = answer.json()
    heads = [service.folders.template(one["dbId"]) / "scan/head.json" for one in (made, clone)]
    assert heads[0].samefile(heads[1])
    with tarfile.open(fileobj=io.BytesIO(drive_templates.exported(clone))) as tar:
        assert yaml.safe_load(tar.extractfile("template.yml"))["stack"]["name"] == "other"  # type: ignore[arg-type]
    assert http.post(f"/api/{made['uri']}/clones", json={"name": "other", "version": "2"}).status_code == 409
    assert http.post(f"/api/{made['uri']}/clones", json={"name": "a/b", "version": ""}).status_code == 400


def test_a_template_is_built_and_deleted_after_its_images(drive_templates: Templates, http: TestClient, service: Service) -> None:
    drive_templates.upload(archive({**STACK, "installation": {"diskSize": 3000}}))
    (one,) = drive_templates.list()
    profile = http.get(f"/api/{one['uri']}/installProfile").json()
    assert profile["partitionTable"]["disks"]["disk"][0]["size"] == 3000
    asked = {"targetFormat": {"name": "OpenStack QCOW2"}, "installProfile": {"diskSize": 4000, "swapSize": 0}}
    answer = http.post(f"/api/{one['uri']}/images", json=asked)
    assert answer.status_code == 201, answer.text
    image = answer.json()
    assert (image["parentUri"], image["installProfile"]["diskSize"]) == (one["uri"], 4000)
    drive_templates.ended(image)
    assert (service.folders.image(image["dbId"]) / "disk.raw").exists()
    listed = http.get(f"{BASE}/images").json()["images"]["image"]
    assert [entry["uri"] for entry in listed] == [image["uri"]]
    assert http.get(f"/api/{one['uri']}/images", params={"query": "targetFormat.name=='nothing'"}).json()["images"]["image"] == []
    assert http.delete(f"/api/{one['uri']}").status_code == 409
    assert http.delete(f"/api/{image['uri']}").status_code == 204
    assert http.delete(f"/api/{one['uri']}").status_code == 204
    assert rows(service) == []
    assert not service.folders.template(1).exists()


@pytest.fixture
def built(http: TestClient, service: Service) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Builds an image of a template to its end; the build is a fake's."""

    def build(template: dict[str, Any]) -> dict[str, Any]:
        asked = {"targetFormat": {"name": "openstack"}, "installProfile": {"diskSize": 2000, "memorySize": 512}}
        image: dict[str, Any] = http.post(f"/api/{template['uri']}/images", json=asked).json()
        assert service.queue.wait(image["jobId"], 10)
        return image

    return build


def test_a_path_of_a_templates_image_is_explained(drive_templates: Templates, http: TestClient, service: Service, built: Callable[..., dict[str, Any]]) -> None:
    drive_templates.upload(archive(STACK))
    image = built(drive_templates.list()[-1])
    place, folder = f"{BASE}/images/{image['dbId']}/explanation", service.folders.image(image["dbId"])
    assert http.get(place, params={"path": "/srv"}).status_code == 409
    origins.write(folder / origins.FILE, ["/srv", "/usr/bin/app"], {}, {"/usr/bin/app": "app"})
    traces.write(folder / traces.TEMPLATE, [("/srv", "its bundle tools 1.0")])
    told = http.get(place, params={"path": "/srv"}).json()
    assert (told["origin"]["by"], told["origin"]["what"], told["source"]) == ("template", "its bundle tools 1.0", None)
    assert http.get(place, params={"path": "/usr/bin/app"}).json()["origin"]["by"] == "package"
    assert http.get(place, params={"path": "/nowhere"}).status_code == 404


def test_a_path_of_the_image_of_a_scans_template_is_explained_as_the_scans(
    drive_templates: Templates, http: TestClient, service: Service, built: Callable[..., dict[str, Any]]
) -> None:
    image = built(drive_templates.scanned())
    place, folder = f"{BASE}/images/{image['dbId']}/explanation", service.folders.image(image["dbId"])
    origins.write(folder / origins.FILE, ["/boot"], {"/boot": "boot"}, {})
    traces.write(folder / traces.PASS, [("/etc/hosts", traces.START)])
    told = http.get(place, params={"path": "/srv"}).json()
    assert told["source"]["path"] == "/srv" and told["origin"]["by"] != "template"
    assert http.get(place, params={"path": "/etc/hosts"}).json()["origin"]["by"] == "last pass"
    assert http.get(place, params={"path": "/boot"}).json()["origin"]["by"] == "base"


def test_a_format_that_cannot_be_built_is_refused(drive_templates: Templates, http: TestClient) -> None:
    drive_templates.upload(archive(STACK))
    assert http.post(f"{BASE}/appliances/1/images", json={"targetFormat": {"name": "PXE"}}).status_code == 400
    assert http.get(f"{BASE}/appliances/1/images").json()["images"]["image"] == []


def test_what_is_not_there_is_not_found(drive_templates: Templates, http: TestClient) -> None:
    drive_templates.scanned()
    for path in ("appliances/9", "appliances/1/exports/1/status", "imports/4/status", "appliances/1/images/1/status"):
        assert http.get(f"{BASE}/{path}").status_code == 404, path
    assert http.post(f"{BASE}/imports/7/uploads", content=b"x").status_code == 404


def test_answers_are_uforges_xml(drive_templates: Templates, http: TestClient) -> None:
    drive_templates.scanned()
    xml = {"Accept": "application/xml"}
    for path, root in (("appliances", "appliances"), ("appliances/1", "appliance"), ("appliances/1/installProfile", "installProfile")):
        answer = http.get(f"{BASE}/{path}", headers=xml)
        assert answer.status_code == 200, answer.text
        assert f":{root} " in answer.text
    body = '<ns1:appliance xmlns:ns1="http://www.usharesoft.com/uforge"><name>cloned</name><version>3</version></ns1:appliance>'
    answer = http.post(f"{BASE}/appliances/1/clones", content=body, headers={**xml, "Content-Type": "application/xml"})
    assert answer.status_code == 201, answer.text
    assert [one["name"] for one in drive_templates.list()] == ["fromscan", "cloned"]


def test_paths_of_uploads_stay_in_the_data_folder(drive_templates: Templates, service: Service, tmp_path: Path) -> None:
    drive_templates.upload(archive(STACK, ("/abs", b"x")))
    assert {path.name for path in tmp_path.iterdir()} == {"data"}


def test_a_lesson_sees_a_template_of_a_scan_and_what_it_sets_up(drive_templates: Templates, http: TestClient) -> None:
    look = Look(Client("http://testserver/api", "root", "forgelet", http._transport))
    lesson = Begun(lesson="edit-template", since=stamp.now(), word="saddle-1")
    drive_templates.upload(archive({**STACK, "name": "mine", "installation": {"timezone": "Pacific/Auckland", "welcomeMessage": "saddle-1"}}))
    assert [step.done for step in check(lesson, look)] == [False, False, False, False]
    made = drive_templates.scanned()
    assert [step.done for step in check(lesson, look)] == [True, False, False, False]
    assert look.get(f"appliances/{made['dbId']}/images") == {"images": {"image": []}}
