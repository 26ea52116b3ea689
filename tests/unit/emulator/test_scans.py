"""Scanned instances and scans."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from sqlalchemy import event

from emulator.resources.scans.reports import whole
from scanner.report import BlindSpot

SCANS = "/api/users/root/scannedinstances"


def test_the_first_scan_of_a_name_makes_its_group_and_scans_are_numbered(drive: Any) -> None:
    names = [drive.scan("web")["name"] for _ in range(3)]
    groups = drive.http.get(SCANS, params={"includeScans": True}).json()["scannedInstances"]["scannedInstance"]
    assert names == ["web Scan #1", "web Scan #2", "web Scan #3"]
    assert [group["name"] for group in groups] == ["web"]
    assert [scan["name"] for scan in groups[0]["scans"]["scan"]] == names


def test_a_listing_asks_the_database_as_often_for_many_groups_as_for_one(drive: Any) -> None:
    asked: list[str] = []

    def heard(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        # The thread of a job that has just ended looks for the next one.
        if not threading.current_thread().name.startswith("job-"):
            asked.append(statement)

    event.listen(drive.service.database.engine, "before_cursor_execute", heard)

    def listed() -> tuple[list[int], int]:
        asked.clear()
        groups = drive.http.get(SCANS, params={"includeScans": True}).json()["scannedInstances"]["scannedInstance"]
        return [len(group["scans"]["scan"]) for group in groups], len(asked)

    drive.scan("web")
    _, once = listed()
    for name in ("web", "mail", "mail", "mail"):
        drive.scan(name)
    assert listed() == ([2, 3], once)


def test_a_number_is_not_used_again_while_a_later_scan_is_there(drive: Any) -> None:
    first, _second = drive.scan(), drive.scan()
    assert drive.http.delete(f"/api/{first['uri']}").status_code == 204
    assert drive.scan()["name"] == "web Scan #3"


def test_a_new_scan_is_unfinished_and_then_complete(drive: Any, tasks: Any) -> None:
    tasks.gate.clear()
    scan = drive.http.post(SCANS, json={"name": "web", "target": "docker:web"}).json()
    assert scan["status"]["complete"] is False
    assert scan["uri"] == f"users/root/scannedinstances/1/scans/{scan['dbId']}"
    tasks.gate.set()
    assert drive.service.queue.wait(scan["jobId"], 10)
    status = drive.http.get(f"/api/{scan['uri']}").json()["status"]
    assert status == {"complete": True, "error": False, "cancelled": False, "percentage": 100, "message": "Successfully scanned", "errorMessage": ""}


def test_no_half_report_is_visible_and_no_work_is_left(drive: Any, tasks: Any) -> None:
    tasks.gate.clear()
    scan = drive.http.post(SCANS, json={"name": "web", "target": "docker:web"}).json()
    folders = drive.service.folders
    assert not folders.scan(scan["dbId"]).exists()
    drive.error(drive.http.get(f"/api/{scan['uri']}/report"), 409)
    tasks.gate.set()
    assert drive.service.queue.wait(scan["jobId"], 10)
    assert (folders.scan(scan["dbId"]) / "head.json").exists()
    assert not folders.work(scan["jobId"]).exists()


def test_the_distribution_comes_from_the_inventory(drive: Any) -> None:
    drive.scan()
    group = drive.http.get(SCANS).json()["scannedInstances"]["scannedInstance"][0]
    assert group["distribution"] == {"name": "Debian", "version": "12", "arch": "x86_64", "realName": "Debian", "realArch": "x86_64"}


@pytest.mark.parametrize("overlay", [True, False])
def test_mixing_simple_and_overlay_scans_is_refused_with_a_way_out(drive: Any, overlay: bool) -> None:
    drive.scan(overlay=overlay)
    told = drive.error(drive.http.post(SCANS, json={"name": "web", "target": "docker:web", "overlay": not overlay}), 409)
    assert "--name" in told["hint"]
    assert told["exitCode"] == 1
    assert len(drive.service.ledger.jobs()) == 1


@pytest.mark.parametrize(("target", "status", "code"), [("docker:gone", 404, 1), ("docker:down", 503, 3)])
def test_a_target_that_is_not_there_is_answered_at_once_and_nothing_is_made(drive: Any, target: str, status: int, code: int) -> None:
    told = drive.error(drive.http.post(SCANS, json={"name": "web", "target": target}), status)
    assert told["exitCode"] == code
    assert told["hint"]
    assert drive.service.ledger.jobs() == []
    assert drive.http.get(SCANS).json() == {"scannedInstances": {"scannedInstance": []}}


def test_wrong_names_and_excludes_are_all_named(drive: Any) -> None:
    answer = drive.http.post(SCANS, json={"name": " a/b\n" + "x" * 200, "target": "docker:web", "exclude": ["var", "/ok"]})
    problems = drive.error(answer, 400)["problems"]
    assert len(problems) == 3
    assert not any("/ok" in problem for problem in problems)


def test_a_scan_with_blind_spots_is_complete_and_says_so(drive: Any, tasks: Any) -> None:
    tasks.blind_spots = [BlindSpot(path="/secret", reason="permission denied")]
    scan = drive.scan()
    told = drive.http.get(f"/api/{scan['uri']}").json()
    assert told["status"]["complete"] is True
    assert told["exitCode"] == 2
    assert drive.http.get(f"/api/{scan['uri']}/report").json()["blind_spots"] == [{"path": "/secret", "reason": "permission denied"}]


def test_files_stream_with_names_that_are_not_utf8(drive: Any) -> None:
    scan = drive.scan()
    answer = drive.http.get(f"/api/{scan['uri']}/files")
    assert answer.content.isascii()
    assert [json.loads(line)["path"] for line in answer.text.splitlines()] == ["/etc/motd", "/odd\udcff"]
    assert drive.http.get(f"/api/{scan['uri']}/files", params={"state": "managed"}).text == ""


@pytest.mark.parametrize("line", [b'{"path":"/a"}\n', b'{"path":"/\\"sha256\\":","sha256":"ab"}\n', b'{"path":"/a","package":"p","xattrs":{"user.package":"x"}}\n', b'{"path":"/\\"package\\":1"}'])
def test_every_row_has_the_same_fields_where_there_is_nothing_to_tell_too(line: bytes) -> None:
    assert json.loads(whole(line)) == {"sha256": None, "package": None, "xattrs": {}, **json.loads(line)}
    assert whole(line).endswith(b"}\n")


def test_packages_are_listed_in_uforges_shape(drive: Any) -> None:
    scan = drive.scan()
    listed = drive.http.get(f"/api/{scan['uri']}/packages").json()["packages"]["package"]
    assert [(package["name"], package["version"]) for package in listed] == [("nginx", "1.22.1-9")]


def test_deleting_a_running_scan_cancels_its_job(drive: Any, tasks: Any) -> None:
    tasks.gate.clear()
    scan = drive.http.post(SCANS, json={"name": "web", "target": "docker:web"}).json()
    assert drive.http.delete(f"/api/{scan['uri']}").status_code == 204
    assert drive.service.ledger.get(scan["jobId"]).state == "cancelled"
    drive.error(drive.http.get(f"/api/{scan['uri']}"), 404)


def test_deleting_a_group_takes_its_scans_and_folders(drive: Any) -> None:
    scan = drive.scan()
    assert drive.http.delete(f"/api/{scan['scannedInstanceUri']}").status_code == 204
    assert not drive.service.folders.scan(scan["dbId"]).exists()
    assert drive.http.get(SCANS).json() == {"scannedInstances": {"scannedInstance": []}}


def test_a_scan_that_images_are_verified_against_is_not_deleted(drive: Any) -> None:
    image = drive.image()
    told = drive.error(drive.http.delete(f"/api/{image['parentUri']}"), 409)
    assert "forgelet image delete" in told["hint"]
    assert drive.http.get(f"/api/{image['parentUri']}").status_code == 200


def test_the_list_can_be_narrowed_to_a_name(drive: Any) -> None:
    drive.scan("one")
    drive.scan("two")
    found = drive.http.get(SCANS, params={"name": "two", "includeScans": True}).json()["scannedInstances"]["scannedInstance"]
    assert [group["name"] for group in found] == ["two"]


def test_a_scan_is_only_found_below_its_own_group(drive: Any) -> None:
    drive.scan("one")
    other = drive.scan("two")
    drive.error(drive.http.get(f"{SCANS}/1/scans/{other['dbId']}"), 404)
