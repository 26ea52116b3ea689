"""What is asked again and again: lists tell what every single row tells, and an answer that lasts ends with the first thing written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from sqlmodel import select

from emulator.jobs import bundles, templates
from emulator.jobs.inprocess import InProcessQueue
from emulator.resources.agents import waits
from emulator.resources.images import service as images
from emulator.resources.images.tables import Image
from emulator.resources.jobs.tables import Job
from emulator.resources.publications.tables import Publication
from emulator.resources.remembered import AT_ONCE, Remembered
from emulator.resources.scans.tables import Scan
from emulator.service import Service
from emulator.storage import stamp
from emulator.wire import answer, lasting
from emulator.wire.shared import Shared
from scanner.report import Report, System, write_head

ROOT = "/api/users/root"
LISTS = ("scannedinstances?includeScans=true", "images", "pimages")


@pytest.fixture
def service(service: Service, tasks: Any) -> Service:
    table = {**tasks.table(), "scan-import": templates.from_scan, "export": templates.export, "import": templates.read, "bundle-import": bundles.read}
    service.queue = InProcessQueue(service.ledger, service.folders, table)
    return service


@pytest.fixture
def there(drive: Any) -> dict[str, Any]:
    """An image, and a publication of it."""
    image: dict[str, Any] = drive.image()
    with drive.service.database.write() as session:
        account = {"xsiType": "CredAccountOpenStack", "dbId": 1, "name": "odd \udcff", "uri": "users/root/accounts/1", "created": stamp.now(), "targetPlatform": {"name": "OpenStack", "type": "openstack"}}
        session.add(Publication(user_id=1, image_id=1, name="web", format="OpenStack QCOW2", image_uri=image["uri"], source_uri=image["parentUri"], account=account, asked={"displayName": "web"}, job_id=image["jobId"], created=stamp.now()))
    return image


def change(drive: Any, table: Any, **values: Any) -> None:
    with drive.service.database.write() as session:
        for name, value in values.items():
            setattr(session.get_one(table, 1), name, value)


def members(drive: Any, path: str, **headers: str) -> Any:
    told = drive.http.get(f"{ROOT}/{path}", headers=headers)
    assert told.status_code == 200, told.text
    return told.text if headers else next(iter(next(iter(told.json().values())).values()))[0]


def test_lists_follow_every_change(drive: Any, there: dict[str, Any]) -> None:
    for path in LISTS:
        assert members(drive, path) == members(drive, path)
    change(drive, Job, percent=41, message="so far")
    assert members(drive, LISTS[0])["scans"]["scan"][0]["status"]["percentage"] == 41
    change(drive, Scan, name="renamed")
    assert members(drive, LISTS[0])["scans"]["scan"][0]["name"] == "renamed"
    change(drive, Image, name="other")
    assert members(drive, "images")["name"] == "other"
    change(drive, Publication, cloud_id="abc", asked={"displayName": "changed"})
    told = members(drive, "pimages")
    assert (told["cloudId"], told["displayName"], told["credAccount"]["name"]) == ("abc", "changed", "odd \udcff")
    assert "changed" in members(drive, "pimages", Accept="application/xml")
    record = drive.service.folders.image(there["dbId"]) / "image.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), "memory": 4321}))
    assert members(drive, "images")["memory"] == 4321


def test_a_list_tells_what_the_single_image_tells(drive: Any, there: dict[str, Any]) -> None:
    for _ in range(2):
        single = drive.http.get(f"/api/{there['uri']}").json()
        assert members(drive, "images") == {key: value for key, value in single.items() if key not in images.DETAILS}


def test_of_more_rows_than_are_kept_all_are_told() -> None:
    asked: list[int] = []

    def tell(numbers: Any) -> Any:
        asked.extend(numbers)
        return ((number, {"dbId": number}) for number in reversed(numbers))

    kept = Remembered(most=10)
    heads = [(number, "x") for number in range(AT_ONCE + 7)]
    for _ in range(2):
        assert [one["dbId"] for one in kept.told("root", heads, tell)] == [head[0] for head in heads]
    asked.clear()
    few = heads[:3]
    assert kept.told("root", few, tell) == kept.told("root", few, tell)
    assert asked == [0, 1, 2]
    assert kept.told("alice", few, tell)[0] == {"dbId": 0}
    assert asked == [0, 1, 2] * 2
    kept.told("alice", [(1, "changed"), *few[:1]], tell)
    assert asked == [*[0, 1, 2] * 2, 1]


def test_a_poll_is_answered_without_the_tables_until_something_is_written(drive: Any, there: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    place = f"/api/{there['uri']}/status"
    first = drive.http.get(place)
    with monkeypatch.context() as patch:
        patch.setattr(images, "find", lambda *_: 1 / 0)
        again = drive.http.get(place)
        assert (again.status_code, again.content, again.headers) == (200, first.content, first.headers)
        drive.error(drive.http.get(place, headers={"X-Other": "1", "Accept": "application/json;q=0.5"}), 500)
        change(drive, Job, percent=7)
        drive.error(drive.http.get(place), 500)
    change(drive, Job, percent=8)
    assert drive.http.get(place).json()["percentage"] == 100
    job = drive.service.ledger.get(there["jobId"])
    with drive.service.database.write() as session:
        session.get_one(Job, job.id).percent = 55
    assert drive.http.get(place).json()["percentage"] == 55
    assert drive.http.get(place, headers={"Accept": "application/xml"}).content.endswith(b"<percentage>55</percentage></ns1:status>")


def test_a_kept_answer_is_for_who_asked_and_in_the_journal_as_any_other(drive: Any, there: dict[str, Any]) -> None:
    place = f"/api/{there['uri']}/status"
    for _ in range(3):
        assert drive.http.get(place).status_code == 200
    drive.error(drive.http.get(place, auth=("root", "wrong")), 401)
    drive.error(drive.http.get(place, auth=("nobody", "forgelet")), 401)
    kept = drive.http.get("/_forgelet/journal", params={"kind": "request"}).json()["journal"]["entry"]
    assert [(one["user"], one["status"]) for one in kept if one["path"] == place] == [("root", 200)] * 3 + [("", 401)] * 2
    assert drive.http.put("/_forgelet/users/root/password", json={"password": "new"}).status_code == 204
    drive.error(drive.http.get(place), 401)
    assert drive.http.get(place, auth=("root", "new")).status_code == 200


def test_what_is_not_there_is_looked_for_each_time(drive: Any) -> None:
    place = f"{ROOT}/images/1/status"
    drive.error(drive.http.get(place), 404)
    drive.image()
    assert drive.http.get(place).status_code == 200


@pytest.mark.parametrize("data", [{"a": 2**70}, {"a": ["\udcff", 1]}, {"a": Shared({"b": [1, "ä"]})}, {"a": Shared({"b": "\udcff"})}, {"a": float("inf")}], ids=str)
def test_what_the_fast_writer_cannot_write_is_written_all_the_same(data: dict[str, Any]) -> None:
    for _ in range(2):
        assert json.loads(answer.dumps(data)) == data or data["a"] == float("inf")


def test_what_is_no_json_is_refused() -> None:
    with pytest.raises(TypeError):
        answer.dumps({"a": b"bytes"})


def poll(drive: Any, there: dict[str, Any], kind: str) -> str:
    """The path of what is polled, for whatever a client waits for."""
    scan = f"{ROOT}/scannedinstances/1/scans/1"
    if kind == "scan import" or kind.startswith("template export"):
        folder = drive.service.folders.scan(1)
        head = Report(folder).head
        head.system = System(distribution="Debian", version="12", codename="bookworm", arch="x86_64", package_arch="amd64")
        write_head(folder, head)
        made = drive.http.post(f"{scan}/imports", json={"importedObjectName": "web", "importedObjectVersion": "1.0"}).json()
        assert drive.service.queue.wait(made["jobId"], 30)
    if kind.startswith("template export"):
        made = drive.http.post(f"{ROOT}/appliances/1/exports").json()
        assert drive.service.queue.wait(made["jobId"], 30)
        return f"/api/{made['uri']}" + ("/status" if kind.endswith("status") else "")
    if kind in ("template import", "bundle import"):
        way = "imports" if kind == "template import" else "bundleimports"
        place = f"/api/{drive.http.post(f'{ROOT}/{way}').json()['uri']}"
        drive.http.post(f"{place}/uploads", content=b"none")
        assert drive.service.queue.wait(drive.http.get(place).json()["jobId"], 30)
        return f"{place}/status"
    return {"scan": scan, "group": f"{ROOT}/scannedinstances/1", "groups": f"{ROOT}/scannedinstances?includeScans=true", "scan import": f"{scan}/imports/status/?i=users/root/scannedinstances/1/scans/1/imports/1"}[kind]


@pytest.mark.parametrize("kind", ["scan", "group", "groups", "scan import", "template export", "template exports status", "template import", "bundle import"])
@pytest.mark.parametrize("accept", ["application/xml", "application/json"])
def test_whatever_a_client_waits_for_is_told_again_until_something_is_written(drive: Any, there: dict[str, Any], monkeypatch: pytest.MonkeyPatch, kind: str, accept: str) -> None:
    place, headers = poll(drive, there, kind), {"Accept": accept}
    first = drive.http.get(place, headers=headers)
    assert first.status_code == 200, first.text
    with monkeypatch.context() as patch:
        patch.setattr(drive.service.database, "read", lambda: 1 / 0)
        assert drive.http.get(place, headers=headers).content == first.content
    with drive.service.database.write() as session:
        for job in session.exec(select(Job)).all():
            job.message = "something else"
    again = drive.http.get(place, headers=headers)
    assert "something else" in again.text


def test_hammr_s_listing_by_name_is_never_kept(drive: Any, there: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    look = waits.look

    def looked(*args: Any) -> Any:
        asked.append(args[2])
        return look(*args)

    monkeypatch.setattr(waits, "look", looked)
    for _ in range(2):
        assert drive.http.get(f"{ROOT}/scannedinstances", params={"name": "web", "includeScans": "true"}, headers={"Accept": "application/xml"}).status_code == 200
    assert asked == ["web", "web"]


def test_what_is_kept_has_an_end(drive: Any, there: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lasting, "MOST", 3 * lasting.EACH)
    kept = next(one for one in _layers(drive.http.app) if isinstance(one, lasting.Lasting))
    for number in range(10):
        assert drive.http.get(f"{ROOT}/scannedinstances", params={"name": str(number)}).status_code == 200
        assert len(kept._kept) <= 3


def _layers(app: Any) -> Iterator[Any]:
    layer = app.middleware_stack
    while layer is not None:
        yield layer
        layer = getattr(layer, "app", None) or getattr(layer, "_app", None)
