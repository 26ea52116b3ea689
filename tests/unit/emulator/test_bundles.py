"""Bundles over the wire: the real routes, storage, queue and archives."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from fastapi.testclient import TestClient
from sqlmodel import select

from emulator.control.reset import reset
from emulator.jobs import bundles, templates
from emulator.jobs.inprocess import InProcessQueue
from emulator.jobs.outcome import Outcome
from emulator.jobs.tasks import Assignment
from emulator.resources.appliances.tables import Appliance
from emulator.resources.bundles.tables import Bundle
from emulator.service import Service

BASE = "/api/users/root"
XML = {"Accept": "application/xml"}
BUNDLE = {
    "name": "tools",
    "version": "1.0",
    "description": "Tools",
    "category": "databases",
    "destination": "/opt",
    "license": {"name": "MIT", "source": "l.txt"},
    "files": [{"name": "run.sh", "source": "run.sh"}],
}
FILES = {"run.sh": b"#!/bin/sh\n", "l.txt": b"licence"}
STACK = {"name": "plain", "version": "1.0", "os": {"name": "Debian", "version": "12", "arch": "x86_64"}}

WRONG = ["empty", "xml", "traversal", "cut", "template"]


def archive(document: dict[str, Any], name: str = "bundle.yml", files: dict[str, bytes] = FILES) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for member, data in {**files, name: yaml.safe_dump(document).encode()}.items():
            info = tarfile.TarInfo(member)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


@pytest.fixture
def service(service: Service, tasks: Any) -> Service:
    table: dict[str, Callable[[Assignment], Outcome]] = tasks.table()
    table.update({"export": templates.export, "import": templates.read, "bundle-export": bundles.export, "bundle-import": bundles.read})
    service.queue = InProcessQueue(service.ledger, service.folders, table)
    return service


class Library:
    def __init__(self, http: TestClient, service: Service) -> None:
        self.http, self.service = http, service

    def _upload(self, place: str, data: bytes, **options: Any) -> dict[str, Any]:
        made = self.http.post(f"{BASE}/{place}", params={key: str(value) for key, value in options.items()})
        assert made.status_code == 201, made.text
        uri = f"/api/{made.json()['uri']}"
        answer = self.http.post(f"{uri}/uploads", content=data, headers={"Content-Type": "application/xml"})
        assert answer.status_code == 201, answer.text
        assert self.service.queue.wait(self.http.get(uri).json()["jobId"], 10)
        told: dict[str, Any] = self.http.get(uri).json()
        assert self.http.get(f"{uri}/status").json() == told["status"]
        return told

    def bundle(self, data: bytes, **options: Any) -> dict[str, Any]:
        return self._upload("bundleimports", data, **options)

    def template(self, *files: dict[str, Any], version: str = "1.0", contents: bytes = b"#!/bin/sh\n", **options: Any) -> dict[str, Any]:
        """A template with the bundle `tools` in it."""
        bundle = {"name": "tools", "version": "1.0", "files": list(files) or [{"name": "run.sh", "source": "run.sh"}]}
        data = archive({"stack": {**STACK, "version": version, "bundles": [bundle]}}, "template.yml", {"run.sh": contents})
        return self._upload("imports", data, **options)

    def list(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.http.get(f"{BASE}/mysoftware").json()["mySoftwareList"]["mySoftware"]
        return found

    def disk(self) -> dict[str, set[str]]:
        """Bundle folder -> its files."""
        places = self.service.folders.data.joinpath("bundles").iterdir()
        return {place.name: {str(path.relative_to(place / "files")) for path in place.rglob("*") if path.is_file()} for place in places}


@pytest.fixture
def library(http: TestClient, service: Service) -> Library:
    return Library(http, service)


def test_an_uploaded_archive_becomes_a_bundle(library: Library, http: TestClient) -> None:
    told = library.bundle(archive(BUNDLE), imported=True)
    assert told["status"]["complete"], told
    (one,) = library.list()
    assert told["referenceUri"] == one["uri"] == "users/root/mysoftware/1"
    assert (one["name"], one["version"], one["description"], one["imported"], one["size"]) == ("tools", "1.0", "Tools", True, 17)
    assert (one["category"]["name"], one["category"]["type"]) == ("Databases", "PROJECT")
    assert (one["license"]["name"], one["license"]["size"], one["license"]["mimeType"]) == ("MIT", 7, "text/plain")
    assert library.disk() == {"1": {"bundles/tools/l.txt", "bundles/tools/1.0/run.sh"}}
    assert list(library.service.folders.data.joinpath("uploads").iterdir()) == []
    for path, root in (("mysoftware", "mySoftwareList"), ("mysoftware/1", "mySoftware"), ("bundleimports/1", "softwareBundleImport")):
        answer = http.get(f"{BASE}/{path}", headers=XML)
        assert answer.headers["content-type"] == "application/xml"
        assert f":{root} " in answer.text


def test_a_failed_import_says_every_mistake_and_leaves_nothing(library: Library, service: Service) -> None:
    told = library.bundle(archive({**BUNDLE, "files": [{"name": "a", "source": "gone"}, {"name": "b", "source": "gone2"}]}))
    assert (told["status"]["error"], told["referenceUri"]) == (True, "")
    problems = service.ledger.get(told["jobId"]).problems
    assert [problem.rpartition("'gone")[1] for problem in problems] == ["'gone"] * 2
    assert library.list() == []
    assert library.disk() == {}
    with service.database.read() as session:
        assert session.exec(select(Bundle)).all() == []


@pytest.mark.parametrize("data", [b"", b"<xml/>", archive(BUNDLE, files={**FILES, "../../evil": b"x"}), archive(BUNDLE)[:-60], archive(BUNDLE, "template.yml")], ids=WRONG)
def test_what_is_no_archive_of_a_bundle_is_refused(library: Library, service: Service, data: bytes) -> None:
    before = sorted(path.name for path in service.folders.data.parent.iterdir())
    told = library.bundle(data)
    assert told["status"]["error"], told
    assert "internal fault" not in told["status"]["errorMessage"]
    assert sorted(path.name for path in service.folders.data.parent.iterdir()) == before
    assert library.list() == []


def test_a_second_of_the_same_name_and_version_is_refused(library: Library, http: TestClient) -> None:
    library.bundle(archive(BUNDLE))
    again = library.bundle(archive(BUNDLE))
    assert "already" in again["status"]["errorMessage"]
    assert len(library.list()) == 1
    assert http.post(f"{BASE}/bundleimports/1/uploads", content=b"x").status_code == 409


def test_a_clone_has_its_own_name_and_the_same_files(library: Library, http: TestClient, service: Service) -> None:
    library.bundle(archive(BUNDLE))
    body = '<ns1:mySoftware xmlns:ns1="http://www.usharesoft.com/uforge"><name>copy</name><version>2</version></ns1:mySoftware>'
    answer = http.post(f"{BASE}/mysoftware/1/clone", content=body, headers={**XML, "Content-Type": "application/xml"})
    assert answer.status_code == 201, answer.text
    clone = library.list()[-1]
    assert (clone["name"], clone["version"]) == ("copy", "2")
    ours, theirs = (service.folders.bundle(number) / "files/bundles" / path for number, path in ((1, "tools/1.0/run.sh"), (clone["dbId"], "copy/2/run.sh")))
    assert ours.samefile(theirs)
    assert http.post(f"{BASE}/mysoftware/1/clone", json={"name": "copy", "version": "2"}).status_code == 409
    assert http.post(f"{BASE}/mysoftware/1/clone", json={"name": "a/b", "version": ""}).status_code == 400
    assert len(library.list()) == 2


def test_an_export_is_downloaded_and_imported_again(library: Library, http: TestClient, service: Service) -> None:
    library.bundle(archive(BUNDLE))
    made = http.post(f"{BASE}/mysoftware/1/exports", params={"outputFormat": "json"}).json()
    assert service.queue.wait(made["jobId"], 10)
    assert http.get(f"/api/{made['uri']}/status").json()["complete"]
    answer = http.get(f"/api/{made['uri']}/downloads")
    assert (answer.headers["content-type"], "content-encoding" in answer.headers) == ("application/octet-stream", False)
    assert http.delete(f"/api/{made['uri']}").status_code == 204
    assert http.get(f"/api/{made['uri']}").status_code == 404
    assert list(service.folders.data.joinpath("exports").iterdir()) == []
    assert http.delete(f"{BASE}/mysoftware/1").status_code == 204
    assert library.disk() == {}
    assert library.bundle(answer.content, imported=True)["status"]["complete"]
    assert library.disk() == {"2": {"bundles/tools/l.txt", "bundles/tools/1.0/run.sh"}}
    assert http.post(f"{BASE}/mysoftware/2/exports", params={"outputFormat": "toml"}).status_code == 400


def test_bundles_of_a_template_come_into_the_library(library: Library) -> None:
    told = library.template()
    assert told["status"]["complete"], told
    (one,) = library.list()
    assert (one["name"], one["applianceUris"]) == ("tools", {"uri": ["users/root/appliances/1"]})
    assert library.disk() == {"1": {"bundles/tools/1.0/run.sh"}}
    same = library.template(version="2.0")
    assert same["status"]["complete"], same
    assert [entry["dbId"] for entry in library.list()] == [1]
    assert library.disk().keys() == {"1"}


def test_another_bundle_of_the_same_name_is_refused_reused_or_replaced(library: Library, service: Service) -> None:
    library.bundle(archive(BUNDLE))
    refused = library.template(contents=b"other")
    assert "another one" in refused["status"]["errorMessage"]
    with service.database.read() as session:
        assert session.exec(select(Appliance)).all() == []
    assert library.disk().keys() == {"1"}
    reused = library.template(contents=b"other", version="2.0", reuseBundles=True)
    assert reused["status"]["complete"], reused
    number = int(reused["referenceUri"].rpartition("/")[2])
    files = service.folders.template(number) / "files"
    assert (files / "bundles/tools/1.0/run.sh").read_bytes() == b"#!/bin/sh\n"
    assert (files / "bundles/tools/l.txt").read_bytes() == b"licence"
    assert not (files / "run.sh").exists()
    forced = library.template(contents=b"other", version="3.0", force=True)
    assert forced["status"]["complete"], forced
    (one,) = library.list()
    assert (service.folders.bundle(one["dbId"]) / "files/bundles/tools/1.0/run.sh").read_bytes() == b"other"
    assert library.disk().keys() == {str(one["dbId"])}
    assert (files / "bundles/tools/1.0/run.sh").read_bytes() == b"#!/bin/sh\n"


def test_a_template_keeps_what_it_took_of_a_bundle_that_is_deleted(library: Library, http: TestClient, service: Service) -> None:
    library.template()
    assert http.delete(f"{BASE}/mysoftware/1").status_code == 204
    assert library.list() == []
    assert (service.folders.template(1) / "files/run.sh").read_bytes() == b"#!/bin/sh\n"


def test_other_users_see_nothing_of_it(library: Library, http: TestClient) -> None:
    library.bundle(archive(BUNDLE))
    assert http.post("/_forgelet/users", json={"login": "eve", "password": "e"}).status_code == 201
    eve = ("eve", "e")
    mine = "/api/users/eve"
    assert http.get(f"{mine}/mysoftware", auth=eve).json()["mySoftwareList"]["mySoftware"] == []
    calls = [("GET", ""), ("DELETE", ""), ("POST", "/exports"), ("GET", "/exports/1/status"), ("GET", "/exports/1/downloads"), ("GET", "/templates/1")]
    for method, rest in calls:
        assert http.request(method, f"{mine}/mysoftware/1{rest}", auth=eve).status_code == 404, rest
        assert http.request(method, f"{BASE}/mysoftware/1{rest}", auth=eve).status_code == 403, rest
    assert http.post(f"{mine}/mysoftware/1/clone", json={"name": "x", "version": "1"}, auth=eve).status_code == 404
    for rest in ("", "/status"):
        assert http.get(f"{mine}/bundleimports/1{rest}", auth=eve).status_code == 404
    assert http.post(f"{mine}/bundleimports/1/uploads", content=b"x", auth=eve).status_code == 404
    assert len(library.list()) == 1


def test_a_user_with_imports_but_nothing_left_can_go(library: Library, http: TestClient, service: Service) -> None:
    assert http.post("/_forgelet/users", json={"login": "eve", "password": "e"}).status_code == 201
    made = http.post("/api/users/eve/bundleimports", auth=("eve", "e")).json()
    assert http.post(f"/api/{made['uri']}/uploads", content=b"none", auth=("eve", "e")).status_code == 201
    assert service.queue.wait(http.get(f"/api/{made['uri']}", auth=("eve", "e")).json()["jobId"], 10)
    assert http.delete("/_forgelet/users/eve").status_code == 204
    assert http.get("/api/users/eve", auth=("eve", "e")).status_code == 401


def test_there_are_no_container_templates_and_the_reason_is_said(library: Library, http: TestClient) -> None:
    library.bundle(archive(BUNDLE))
    answer = http.get(f"{BASE}/mysoftware/1/templates/1", headers=XML)
    assert answer.status_code == 404
    assert "container images are not built" in answer.text


def test_a_reset_takes_bundles_along(library: Library, http: TestClient, service: Service) -> None:
    library.bundle(archive(BUNDLE))
    assert reset(service).removed["bundle"] == 1
    assert library.list() == []
    assert library.disk() == {}


def test_the_quota_of_templates_holds_for_imports_and_counts_what_is_replaced_once(library: Library, http: TestClient, service: Service) -> None:
    quota = {"type": "appliance", "limit": 1}
    assert http.put("/_forgelet/users/root/quotas", json=quota).status_code == 200
    assert library.template()["status"]["complete"]
    refused = http.post(f"{BASE}/imports")
    assert (refused.status_code, refused.json()["uforgeError"]["code"]) == (403, "quota")
    assert library.template(force=True)["status"]["complete"]
    other = library.template(force=True, version="2.0")
    assert "used up: 1 of 1 templates" in other["status"]["errorMessage"]
    with service.database.read() as session:
        assert [one.version for one in session.exec(select(Appliance)).all()] == ["1.0"]


def test_the_quota_of_bytes_counts_bundles_and_what_templates_share_once(library: Library, http: TestClient, service: Service) -> None:
    def used() -> int:
        return {one["type"]: int(one["nb"]) for one in http.get(f"{BASE}/quotas").json()["quotas"]["quota"]}["diskusage"]

    library.template(contents=b"x" * 100_000)
    files = [path for name in ("bundles", "templates") for path in service.folders.data.joinpath(name).glob("*/files/**/run.sh")]
    assert len(files) == 2
    assert 100_000 <= used() < 160_000
    assert http.put("/_forgelet/users/root/quotas", json={"type": "diskusage", "limit": 100_000}).status_code == 200
    made = http.post(f"{BASE}/bundleimports").json()
    assert http.post(f"/api/{made['uri']}/uploads", content=archive(BUNDLE)).status_code == 403
    assert http.post(f"{BASE}/mysoftware/1/clone", json={"name": "x", "version": "1"}).status_code == 403
    assert len(library.list()) == 1
