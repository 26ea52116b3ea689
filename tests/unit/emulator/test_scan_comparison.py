"""What the service tells of differences between scans, of one path, and of secrets."""

from __future__ import annotations

from typing import Any

import pytest

from scanner.configuration import Configuration, Connection
from scanner.report import FileEntry, Package, Redacted, Report, ScanReport, System, file_table, write_head

COMPARE = "/api/users/root/scancomparison"
FIXED = Configuration(
    connections=[
        Connection(renderer="networkd", file="/etc/systemd/network/a.network", interface="eth0", addresses=["192.0.2.9/24"]),
        Connection(renderer="networkd", file="/etc/systemd/network/b.network", interface="eth1", dhcp=True),
    ]
)


def row(path: str, **fields: Any) -> FileEntry:
    return FileEntry(**{"path": path, "type": "file", "state": "unmanaged", "reason": "not-in-any-package", "mode": "0644", "sha256": "0" * 64, **fields})


@pytest.fixture
def rewrite(drive: Any) -> Any:
    """Puts another report in the place of a scan's."""

    def put(scan: dict[str, Any], *entries: FileEntry, **head: Any) -> Report:
        folder = drive.service.folders.scan(scan["dbId"])
        with file_table(folder) as lines:
            for entry in entries:
                lines.write(entry.to_json().encode() + b"\n")
        system = System(distribution="Debian", version="12", codename="bookworm", arch="x86_64", package_arch="amd64")
        write_head(folder, ScanReport(**{"target": "docker:web", "system": system, "overlay": True, **head}))
        return Report(folder)

    return put


def compare(drive: Any, *ids: int, **more: Any) -> Any:
    return drive.http.get(COMPARE, params={"id": list(ids), **more})


def test_two_scans_of_the_same_are_equal(drive: Any) -> None:
    one, other = drive.scan(), drive.scan()
    told = compare(drive, one["dbId"], other["dbId"]).json()
    assert told["equal"] is True
    assert [scan["name"] for scan in told["scans"]["scan"]] == ["web Scan #1", "web Scan #2"]
    assert {scope: told[scope] for scope in ("packages", "files", "users", "services")} == {"packages": [], "files": [], "users": [], "services": []}


def test_differences_are_told_by_scope_and_odd_names_pass(drive: Any, rewrite: Any) -> None:
    one, other = drive.scan(), drive.scan()
    rewrite(one, row("/a"), row("/odd\udcff"), packages=[Package(name="n", version="1", arch="amd64")])
    rewrite(other, row("/a", mode="0600"), row("/b"), packages=[Package(name="n", version="2", arch="amd64")])
    answer = compare(drive, one["dbId"], other["dbId"])
    told = answer.json()
    assert answer.content.isascii()
    assert [(item["path"], item["change"], item["fields"]) for item in told["files"]] == [
        ("/a", "changed", ["mode"]),
        ("/b", "added", ["presence"]),
        ("/odd\udcff", "removed", ["presence"]),
    ]
    assert told["packages"][0]["values"] == [{"version": "1"}, {"version": "2"}]
    assert told["counts"]["files"] == {"changed": 1, "added": 1, "removed": 1}
    assert told["equal"] is False


def test_only_the_asked_scopes_are_told(drive: Any) -> None:
    told = compare(drive, drive.scan()["dbId"], drive.scan()["dbId"], scope=["users", "packages"]).json()
    assert {"packages", "users"} <= told.keys()
    assert "files" not in told and "services" not in told


def test_of_three_the_outlier_is_named(drive: Any, rewrite: Any) -> None:
    scans = [drive.scan() for _ in range(3)]
    for number, scan in enumerate(scans):
        rewrite(scan, row("/a", sha256=("1" if number == 1 else "0") * 64))
    told = compare(drive, *(scan["dbId"] for scan in scans)).json()
    assert [(item["path"], item["outliers"]) for item in told["files"]] == [("/a", [scans[1]["dbId"]])]


def test_every_mistake_is_named(drive: Any) -> None:
    problems = drive.error(compare(drive, 1, scope=["colours"], ignore=["taste"]), 400)["problems"]
    assert [problem.partition(":")[0] for problem in problems] == ["scope", "ignore", "id"]


def test_a_scan_that_is_not_there_is_not_found(drive: Any) -> None:
    drive.error(compare(drive, drive.scan()["dbId"], 99), 404)


def test_a_damaged_report_is_an_error_before_the_first_byte(drive: Any) -> None:
    one, other = drive.scan(), drive.scan()
    table = drive.service.folders.scan(other["dbId"]) / "files.ndjson.zst"
    table.write_bytes(b"no table")
    assert "scan again" in drive.error(compare(drive, one["dbId"], other["dbId"]), 500)["hint"]


def explanation(drive: Any, scan: dict[str, Any], path: str) -> Any:
    return drive.http.get(f"/api/{scan['uri']}/explanation?path={path}")


@pytest.mark.parametrize(
    ("entry", "head", "action"),
    [
        (row("/srv/a"), {}, "restore"),
        (row("/srv/a"), {"overlay": False}, "not-brought"),
        (row("/srv/a", state="managed", reason="md5-equal", package="n"), {}, "install"),
        (row("/srv/a", state="missing", reason="deleted", package="n", mode="", sha256=None), {}, "delete"),
        (row("/srv/a", type="socket"), {}, "restore"),
        (row("/srv/a", type="socket"), {"overlay": False}, "not-brought"),
        (row("/srv/a"), {"redacted": [Redacted(path="/srv/a", secret="private key")]}, "supply"),
        (row("/srv/a", state="excluded", reason="user"), {}, "nothing"),
        (row("/etc/fstab"), {}, "translate"),
        (row("/etc/network/interfaces"), {}, "restore"),
        (row("/etc/network/interfaces.d/eth0"), {"packages": [Package(name="ifupdown", version="1", arch="amd64")]}, "translate"),
        (row("/etc/systemd/network/a.network"), {"configuration": FIXED}, "translate"),
        (row("/etc/systemd/network/b.network"), {"configuration": FIXED}, "restore"),
        (row("/etc/machine-id"), {}, "keep-own"),
        (row("/var/lib/dpkg/info/n.list"), {}, "keep-own"),
        (row("/var/lib/dpkg/info/n.list"), {"packages": [Package(name="n", version="1", arch="amd64", status="config-files")]}, "restore"),
    ],
)
def test_an_explanation_says_what_a_build_would_do(drive: Any, rewrite: Any, entry: FileEntry, head: dict[str, Any], action: str) -> None:
    scan = drive.scan()
    rewrite(scan, entry, **{"packages": [Package(name="n", version="1", arch="amd64")], **head})
    told = explanation(drive, scan, entry.path).json()
    assert told["build"]["action"] == action
    assert told["build"]["why"] and told["rule"]


def test_a_path_of_any_bytes_is_explained(drive: Any) -> None:
    scan = drive.scan()
    assert explanation(drive, scan, "/odd%FF").json()["path"] == "/odd\udcff"
    drive.error(explanation(drive, scan, "/even"), 404)
    drive.error(explanation(drive, scan, "relative"), 400)


def test_nothing_is_redacted_from_a_scan_that_brings_nothing(drive: Any) -> None:
    answer = drive.http.post("/api/users/root/scannedinstances", json={"name": "web", "target": "docker:web", "redact": True})
    assert drive.error(answer, 400)["problems"][0].startswith("redact:")


def test_the_wish_to_redact_reaches_the_job(drive: Any) -> None:
    scan = drive.scan(overlay=True, redact=True)
    assert drive.service.ledger.get(scan["jobId"]).arguments["redact"] is True
