"""The service as a process: it comes, it goes, and jobs are never lost, whatever ends."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
import zstandard
from support.service import Service

from scanner.agent.known import SETTLED
from scanner.report import Report
from scanner.scan import KNOWN

SCANS = "/api/users/root/scannedinstances"
FORGELET = [sys.executable, "-m", "cli.main"]


def test_a_folder_is_scanned_end_to_end(service: Any, tree: Any) -> None:
    scan = service.scan(tree)
    job = service.ended(scan["jobId"])
    assert (job["state"], job["exitCode"]) == ("done", 0), job
    assert b'"/odd\\udcff"' in service.http.get(f"/api/{scan['uri']}/files").content
    assert not (service.data / "jobs" / str(job["dbId"]) / "work").exists()
    assert "scan.inventory" in service.http.get(f"/_forgelet/jobs/{job['dbId']}/log", params={"follow": True}).text


def test_sigterm_ends_the_idle_service_well(service: Any) -> None:
    begun = time.monotonic()
    assert service.end(signal.SIGTERM) == 0
    assert time.monotonic() - begun < 10


def test_sigterm_ends_the_service_with_a_job_running_and_its_group(service: Any, start: Any, tree: Any) -> None:
    service.fault("scan.inventory", "hang")
    scan = service.scan(tree)
    child = service.in_stage(scan["jobId"], "scan.inventory")
    begun = time.monotonic()
    assert service.end(signal.SIGTERM) == 0
    assert time.monotonic() - begun < 10
    assert service.gone(child)
    job = start().ended(scan["jobId"])
    assert job["state"] == "failed"
    assert "the service stopped while the job was in stage scan.inventory" in job["error"]


def test_sigterm_does_not_wait_for_who_follows_a_log(service: Any, tree: Any) -> None:
    service.fault("scan.inventory", "hang")
    scan = service.scan(tree)
    service.in_stage(scan["jobId"], "scan.inventory")
    with service.http.stream("GET", f"/_forgelet/jobs/{scan['jobId']}/log", params={"follow": True}) as log:
        next(log.iter_bytes())
        begun = time.monotonic()
        assert service.end(signal.SIGTERM) == 0
    assert time.monotonic() - begun < 10


def test_after_sigkill_the_child_ends_by_itself_and_the_next_service_says_what_happened(service: Any, start: Any, tree: Any) -> None:
    service.fault("scan.inventory", "hang")
    scan = service.scan(tree)
    waiting = [service.scan(tree, name) for name in ("second", "third")]
    child = service.in_stage(scan["jobId"], "scan.inventory")
    service.end(signal.SIGKILL)
    service.until(lambda: service.gone(child))
    again = start()
    job = again.ended(scan["jobId"])
    assert (job["state"], job["exitCode"], job["code"]) == ("failed", 5, "interrupted")
    assert "in stage scan.inventory" in job["error"]
    assert "forgelet scan run --root" in job["hint"]
    assert not (again.data / "jobs" / str(job["dbId"]) / "work").exists()
    assert again.ended(waiting[-1]["jobId"])["state"] == "done"


def test_a_leftover_child_is_ended_by_the_next_service(service: Any, start: Any, tree: Any) -> None:
    service.fault("scan.inventory", "hang")
    scan = service.scan(tree)
    child = service.in_stage(scan["jobId"], "scan.inventory")
    # Stopped, it cannot notice that the service is gone.
    os.kill(child, signal.SIGSTOP)
    service.end(signal.SIGKILL)
    again = start()
    assert again.ended(scan["jobId"])["state"] == "failed"
    assert service.gone(child)


def test_cancel_ends_the_group_and_gives_back(service: Any, tree: Any) -> None:
    service.fault("scan.inventory", "hang")
    scan = service.scan(tree)
    child = service.in_stage(scan["jobId"], "scan.inventory")
    assert service.http.delete(f"/_forgelet/jobs/{scan['jobId']}").status_code == 202
    job = service.ended(scan["jobId"])
    assert job["state"] == "cancelled"
    assert service.gone(child)
    assert not (service.data / "jobs" / str(job["dbId"]) / "work").exists()
    assert not (service.data / "scans" / str(scan["dbId"])).exists()


def test_a_child_that_does_not_listen_is_killed(service: Any, tree: Any) -> None:
    service.fault("scan.inventory", "hang")
    scan = service.scan(tree)
    child = service.in_stage(scan["jobId"], "scan.inventory")
    os.kill(child, signal.SIGSTOP)
    service.http.delete(f"/_forgelet/jobs/{scan['jobId']}")
    assert service.ended(scan["jobId"])["state"] == "cancelled"
    assert service.gone(child)


@pytest.mark.parametrize(("action", "said"), [("fail", "a fault was set at stage scan.inventory"), ("kill", "the job's process was killed while the job was in stage scan.inventory")])
def test_a_fault_ends_the_job_and_the_next_one_works(service: Any, tree: Any, action: str, said: str) -> None:
    service.fault("scan.inventory", action)
    first, second = service.scan(tree), service.scan(tree)
    jobs = [service.ended(scan["jobId"]) for scan in (first, second)]
    # Two scans run side by side: the fault meets one of them.
    failed = [job for job in jobs if job["state"] == "failed"]
    assert len(failed) == 1 and said in failed[0]["error"]
    assert [job["state"] for job in jobs if job not in failed] == ["done"]


def test_no_more_scans_run_at_once_than_may(service: Any, tree: Any) -> None:
    for _ in range(3):
        service.fault("scan.inventory", "hang")
    scans = [service.scan(tree) for _ in range(3)]
    for scan in scans[:2]:
        service.in_stage(scan["jobId"], "scan.inventory")
    assert service.job(scans[2]["jobId"])["state"] == "queued"
    service.http.delete(f"/_forgelet/jobs/{scans[0]['jobId']}")
    service.in_stage(scans[2]["jobId"], "scan.inventory")
    assert service.ended(scans[0]["jobId"])["state"] == "cancelled"


def test_reset_ends_what_runs(service: Any, tree: Any) -> None:
    service.fault("scan.inventory", "hang")
    scan = service.scan(tree)
    child = service.in_stage(scan["jobId"], "scan.inventory")
    assert service.http.post("/_forgelet/reset").status_code == 200
    assert service.gone(child)
    assert service.http.get("/_forgelet/jobs").json() == {"jobs": {"job": []}}
    assert service.http.get(SCANS).json() == {"scannedInstances": {"scannedInstance": []}}
    assert service.ended(service.scan(tree)["jobId"])["state"] == "done"


def test_a_reset_loses_no_request_that_came_after_it(service: Any, tree: Any) -> None:
    """Requests go on from several sides while the service is emptied again and again; what was asked for after the last reset is there, and done."""
    resets, last = [0], 8
    made: list[tuple[int, str, int]] = []
    refused: list[str] = []

    def load(side: str) -> None:
        after = 0
        with httpx.Client(base_url=service.origin, auth=("root", "forgelet"), timeout=60, trust_env=False) as http:
            while after < 4:
                before, name = resets[0], f"{side}-{len(made)}"
                answer = http.post(SCANS, json={"name": name, "target": f"directory:{tree}"})
                if answer.status_code == 201:
                    made.append((before, name, answer.json()["jobId"]))
                else:
                    refused.append(answer.text)
                after += before == last

    threads = [threading.Thread(target=load, args=(f"side{number}",)) for number in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(last):
        time.sleep(0.25)
        assert service.http.post("/_forgelet/reset").status_code == 200
        resets[0] += 1
    for thread in threads:
        thread.join()
    assert refused == []
    assert any(before < last for before, _, _ in made)
    kept = [(name, job) for before, name, job in made if before == last]
    assert len(kept) == 12
    there = {one["name"] for one in service.http.get(SCANS).json()["scannedInstances"]["scannedInstance"]}
    assert {name for name, _ in kept} <= there
    for _, job in kept:
        service.until(lambda job=job: service.job(job)["state"] not in ("queued", "running"), 120)
        assert service.job(job)["state"] == "done"
    service.http.post("/_forgelet/reset")
    scan = service.scan(tree)
    assert scan["dbId"] == 1
    assert service.ended(scan["jobId"])["state"] == "done"
    service.until(lambda: not service.http.get("/_forgelet/reset").json()["pending"])
    assert sorted(path.name for path in (service.data / "jobs").iterdir()) == [str(scan["jobId"])]
    assert list((service.data / "trash").iterdir()) == []
    assert _children_of(service) == []


def _children_of(service: Any) -> list[int]:
    """Job processes that work on the service's data."""
    wanted = f"--data\0{service.data}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and b"emulator.jobs.child" in (line := (entry / "cmdline").read_bytes()) and wanted in line:
                found.append(int(entry.name))
    return found


def test_a_service_that_was_killed_while_it_gave_back_goes_on_with_it(service: Any, tree: Any, tmp_path: Path) -> None:
    heap = service.data / "trash" / "left" / "jobs" / "1" / "work"
    service.end(signal.SIGKILL)
    heap.mkdir(parents=True)
    (heap / "file").write_text("x")
    again = Service(service.data)
    try:
        again.until(lambda: not (service.data / "trash" / "left").exists())
    finally:
        again.close()


def _serve(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*FORGELET, "serve", *options], capture_output=True, text=True, timeout=20, check=False)


def test_a_second_service_on_the_same_data_is_refused(service: Any) -> None:
    refused = _serve("--port", "0", "--data", str(service.data))
    assert refused.returncode == 1
    assert "another service is running" in refused.stderr and "next:" in refused.stderr


def test_a_taken_port_is_refused(service: Any, tmp_path: Any) -> None:
    refused = _serve("--port", service.origin.rpartition(":")[2], "--data", str(tmp_path / "other"))
    assert refused.returncode == 1
    assert "cannot listen" in refused.stderr and "Traceback" not in refused.stderr


def test_the_command_line_follows_a_scan_to_its_end(service: Any, tree: Any) -> None:
    argv = [*FORGELET, "--url", f"{service.origin}/api", "scan", "run", "--root", str(tree), "--name", "tree"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "OK: Scan successfully" in done.stdout


def test_ctrl_c_while_following_leaves_the_job_running(service: Any, tree: Any) -> None:
    service.fault("scan.inventory", "hang")
    argv = [*FORGELET, "--url", f"{service.origin}/api", "scan", "run", "--root", str(tree), "--name", "tree"]
    # A run of the tests in the background ignores SIGINT, and what it starts would too; a person's terminal does not.
    person = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **person) as client:
        try:
            service.in_stage(1, "scan.inventory")
            client.send_signal(signal.SIGINT)
            _, said = client.communicate(timeout=20)
        finally:
            client.kill()
    assert "forgelet job cancel 1" in said and "Traceback" not in said
    assert service.job(1)["state"] == "running"
    assert service.child_of(1)


def test_a_second_scan_takes_what_stayed_as_it_was_from_the_first_unless_told_not_to(service: Any, tree: Path) -> None:
    """The first scan's memory is made to lie: whoever believes it has not read the file."""
    (tree / "etc/settled").write_text("contents")
    time.sleep(SETTLED + 0.5)
    first = service.scan(tree)
    assert service.ended(first["jobId"])["state"] == "done"
    known = service.data / "scans" / str(first["dbId"]) / KNOWN
    digest, lie = hashlib.sha256(b"contents").hexdigest().encode(), b"0" * 64
    lines = zstandard.ZstdDecompressor().stream_reader(known.read_bytes()).read()
    assert digest in lines
    known.write_bytes(zstandard.compress(lines.replace(digest, lie)))
    for asked, told in (({"fresh": True}, digest), ({}, lie)):
        # The newest scan's memory is the one that counts: what read everything is gone again.
        made = service.http.post(SCANS, json={"name": "again", "target": f"directory:{tree}", **asked}).json()
        assert service.ended(made["jobId"])["state"] == "done"
        files = Report(service.data / "scans" / str(made["dbId"])).files()
        assert next(one.sha256 for one in files if one.path == "/etc/settled") == told.decode()
        if asked:
            (service.data / "scans" / str(made["dbId"]) / KNOWN).write_bytes(known.read_bytes())
