"""`forgelet scan`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

TABLE = """\
Getting scans for [root] ...
+-----+-----------------------------+--------+------------------+--------------+
| Id  |            Name             | Status |   Distribution   | With overlay |
+=====+=============================+========+==================+==============+
| 133 | scanExample                 |        | Debian 12 x86_64 |      X       |
+-----+-----------------------------+--------+------------------+--------------+
| 149 |         scanExample Scan #1 | Done   |                  |              |
+-----+-----------------------------+--------+------------------+--------------+
Found 1 scans
"""
DONE = {"complete": True, "error": False, "cancelled": False, "percentage": 100, "message": "Successfully scanned", "errorMessage": ""}
SCAN = {"dbId": 149, "name": "scanExample Scan #1", "status": DONE, "uri": "users/root/scannedinstances/133/scans/149", "jobId": 7, "target": "docker:web"}
GROUP = {
    "dbId": 133,
    "name": "scanExample",
    "overlayIncluded": True,
    "distribution": {"name": "Debian", "version": "12", "arch": "x86_64"},
    "scans": {"scan": [SCAN]},
    "uri": "users/root/scannedinstances/133",
}
LIST = {"scannedInstances": {"scannedInstance": [GROUP]}}
BELOW = "scannedinstances/133/scans/149"


def test_the_list_is_the_table_of_the_seed_page(fake: Any, forgelet: Any) -> None:
    fake.mine("GET", "scannedinstances", LIST)
    assert forgelet("scan", "list").out == TABLE


def test_json_is_the_only_thing_on_standard_output(fake: Any, forgelet: Any) -> None:
    fake.mine("GET", "scannedinstances", LIST)
    assert json.loads(forgelet("scan", "list", "-o", "json").out) == LIST


def _running(fake: Any, exit_code: int = 0, spots: tuple[dict[str, str], ...] = ()) -> None:
    fake.mine("POST", "scannedinstances", (201, SCAN))
    fake.mine("GET", BELOW, SCAN)
    fake.mine("GET", f"{BELOW}/report", {"blind_spots": list(spots)})
    fake.job(7, "queued", "running", "done", exitCode=exit_code, percentage=100, message="Successfully scanned")


def test_a_scan_is_followed_to_its_end(fake: Any, forgelet: Any) -> None:
    _running(fake)
    result = forgelet("scan", "run", "--docker", "web", "--name", "scanExample", "--overlay", "--exclude", "/var/cache", "--exclude", "/tmp")
    assert fake.asked[0][1] == {"name": "scanExample", "target": "docker:web", "overlay": True, "exclude": ["/var/cache", "/tmp"]}
    end, ok, _number = result.out.splitlines()
    assert end == "100%: Successfully scanned"
    assert ok == "OK: Scan successfully"
    assert result.code == 0


def test_blind_spots_are_named_and_are_exit_code_2(fake: Any, forgelet: Any) -> None:
    _running(fake, 2, ({"path": "/secret", "reason": "permission denied"},))
    result = forgelet("scan", "run", "--docker", "web", "--name", "scanExample")
    assert result.code == 2
    assert "/secret: permission denied" in result.err


def test_with_json_the_bar_is_not_on_standard_output(fake: Any, forgelet: Any) -> None:
    _running(fake)
    assert json.loads(forgelet("scan", "run", "--docker", "web", "--name", "scanExample", "-o", "json").out)["dbId"] == 149


def test_a_failed_scan_ends_with_its_cause_and_its_own_exit_code(fake: Any, forgelet: Any) -> None:
    fake.mine("POST", "scannedinstances", (201, SCAN))
    fake.job(7, "running", "failed", exitCode=3, error="the engine went away", hint="start dockerd")
    result = forgelet("scan", "run", "--docker", "web", "--name", "x")
    assert result.code == 3
    assert "the engine went away" in result.err and "next: start dockerd" in result.err


def test_a_target_is_one_thing(fake: Any, forgelet: Any) -> None:
    assert forgelet("scan", "run", "--name", "x").code == 1
    assert forgelet("scan", "run", "--name", "x", "--docker", "a", "--root", "/b").code == 1
    assert fake.asked == []


def test_ctrl_c_leaves_the_job_and_says_how_to_go_on(fake: Any, forgelet: Any) -> None:
    fake.mine("POST", "scannedinstances", (201, SCAN))
    fake.answers["GET /_forgelet/jobs/7"] = KeyboardInterrupt()
    result = forgelet("scan", "run", "--docker", "web", "--name", "x")
    assert "forgelet job log -f 7" in result.err and "forgelet job cancel 7" in result.err
    assert ("DELETE /_forgelet/jobs/7", {}) not in fake.asked


def test_files_are_one_json_array_even_with_odd_names(fake: Any, forgelet: Any) -> None:
    fake.mine("GET", "scannedinstances", LIST)
    entry = {"path": "/odd\udcff", "type": "file", "state": "unmanaged", "mode": "0644", "uid": 0, "gid": 0, "size": 3}
    fake.mine("GET", f"{BELOW}/files", json.dumps(entry) + "\n" + json.dumps(entry) + "\n")
    result = forgelet("scan", "files", "--id", "149", "-o", "json")
    assert result.out.isascii()
    assert json.loads(result.out) == [entry, entry]
    assert "/odd\\udcff" in forgelet("scan", "files", "--id", "149").out


def test_files_of_a_scan_without_a_report_print_no_half_json(fake: Any, forgelet: Any) -> None:
    fake.mine("GET", "scannedinstances", LIST)
    fake.mine("GET", f"{BELOW}/files", (409, fake.error("no report", 1)))
    result = forgelet("scan", "files", "--id", "149", "-o", "json")
    assert (result.code, result.out) == (1, "")


def test_a_scan_that_is_not_there_is_the_users_mistake(fake: Any, forgelet: Any) -> None:
    fake.mine("GET", "scannedinstances", LIST)
    result = forgelet("scan", "show", "--id", "5")
    assert result.code == 1
    assert "next: forgelet scan list" in result.err


IMAGES = [{"dbId": n, "jobId": 10 + n, "name": "scan-test", "targetFormat": {"name": "openstack"}, "bootCommand": "qemu-system-x86_64 …"} for n in (1, 2)]


def _building(fake: Any, tmp_path: Path, first: str) -> str:
    fake.mine("GET", "scannedinstances", LIST)
    fake.mine("POST", f"{BELOW}/builds", (201, {"images": {"image": IMAGES}}))
    for image in IMAGES:
        fake.mine("GET", f"images/{image['dbId']}", image)
    fake.job(11, first, kind="build", exitCode=0 if first == "done" else 5, error="" if first == "done" else "disk-image-create failed")
    fake.job(12, "done", kind="build")
    file = tmp_path / "openstack-builder.yml"
    file.write_text("builders: []")
    return str(file)


def test_a_build_prints_what_the_seed_page_prints(fake: Any, forgelet: Any, tmp_path: Path) -> None:
    result = forgelet("scan", "build", "--id", "149", "--file", _building(fake, tmp_path, "done"))
    lines = [line for line in result.out.splitlines() if "%: " not in line]
    assert lines[:3] == ["OK: Syntax of template file [openstack-builder.yml] is ok", "Generating 'openstack' image (1/2)", "OK: Generation 'openstack' ok"]
    assert "Generating 'openstack' image (2/2)" in lines
    assert any(line.strip() == "qemu-system-x86_64 …" for line in lines)
    assert result.code == 0


def test_a_failed_builder_does_not_stop_the_next_one_but_is_the_exit_code(fake: Any, forgelet: Any, tmp_path: Path) -> None:
    result = forgelet("scan", "build", "--id", "149", "--file", _building(fake, tmp_path, "failed"))
    assert result.code == 5
    assert "disk-image-create failed" in result.err
    assert result.out.count("OK: Generation 'openstack' ok") == 1


def test_every_mistake_of_a_builder_file_is_printed(fake: Any, forgelet: Any, tmp_path: Path) -> None:
    file = _building(fake, tmp_path, "done")
    fake.mine("POST", f"{BELOW}/builds", (400, fake.error("wrong", 1, problems=("line 3, type: unknown", "line 5, diskSize: not a number"))))
    result = forgelet("scan", "build", "--id", "149", "--file", file)
    assert result.code == 1
    assert "line 3, type: unknown" in result.err and "line 5, diskSize: not a number" in result.err
    assert "OK" not in result.out


def test_a_builder_file_that_is_not_there_is_the_users_mistake(forgelet: Any) -> None:
    assert forgelet("scan", "build", "--id", "149", "--file", "/nonexistent.yml").code == 1
