"""`hammr scan delete` and every option of it (rows 20, 22, 23 and 26 of the call table): it asks first, and what is deleted is gone from the disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.hammr import Hammr
from support.service import SCANS, Service

pytestmark = pytest.mark.hammr

Scanned = Callable[[str], tuple[int, int]]


@pytest.fixture
def scanned(service: Service, tmp_path: Path) -> Scanned:
    """Scans a small tree under a name; the numbers of the group and of the scan."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/motd").write_text("hello\n")

    def made(name: str) -> tuple[int, int]:
        scan = service.scan(tmp_path, name)
        assert service.ended(scan["jobId"])["state"] == "done"
        return int(scan["scannedInstanceUri"].rpartition("/")[2]), int(scan["dbId"])

    return made


def kept(service: Service) -> tuple[dict[int, list[int]], set[int]]:
    """Groups and their scans, as JSON tells them; and the scans whose folders are on the disk."""
    told = service.http.get(SCANS, params={"includeScans": "true"}).json()["scannedInstances"]["scannedInstance"]
    groups = {one["dbId"]: [scan["dbId"] for scan in one["scans"]["scan"]] for one in told}
    return groups, {int(path.name) for path in (service.data / "scans").iterdir()}


def test_one_scan_goes_when_it_is_confirmed(hammr: Hammr, service: Service, scanned: Scanned) -> None:
    group, first = scanned("one")
    _, second = scanned("one")
    assert "Do you really want to delete scan" in hammr("scan", "delete", "--id", str(first), typed="n\n").text
    assert kept(service) == ({group: [first, second]}, {first, second})
    assert "Scan deleted" in hammr("scan", "delete", "--id", str(first), typed="y\n").text
    assert kept(service) == ({group: [second]}, {second})


def test_scans_only_leaves_the_group_and_the_rest_goes_with_it(hammr: Hammr, service: Service, scanned: Scanned) -> None:
    group, _ = scanned("two")
    others, _ = kept(service)
    said = hammr("scan", "delete", "--id", str(group), "--scantype", "instance", "--scansonly", typed="y\n")
    assert "Instance scans deleted" in said.text
    assert kept(service)[0] == {**others, group: []}
    # An empty group is listed, and takes another scan.
    assert "two" in hammr("scan", "list").text
    assert scanned("two")[0] == group
    assert "Instance deleted" in hammr("scan", "delete", "--id", str(group), "--scantype", "instance", typed="y\n").text
    groups, folders = kept(service)
    assert group not in groups
    assert folders == {scan for scans in groups.values() for scan in scans}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--id", "999"), "Scan not found"),
        (("--id", "999", "--scantype", "instance"), "Scan not found"),
        (("--id", "1", "--scantype", "none"), "scantype can only be"),
        (("--id", "1", "--scansonly"), "can only be used with 'instance'"),
    ],
)
def test_what_cannot_be_is_told_and_deletes_nothing(hammr: Hammr, service: Service, scanned: Scanned, words: tuple[str, ...], said: str) -> None:
    scanned("three")
    before = kept(service)
    assert said in hammr("scan", "delete", *words).text
    assert kept(service) == before


def test_all_takes_everything(hammr: Hammr, service: Service, scanned: Scanned) -> None:
    scanned("four")
    before = kept(service)
    hammr("scan", "delete", "--id", "0", "--scantype", "all", typed="no\n")
    assert kept(service) == before
    assert "All instances and scans deleted" in hammr("scan", "delete", "--id", "0", "--scantype", "all", typed="yes\n").text
    assert kept(service) == ({}, set())
    assert "No scans available" in hammr("scan", "list").text
