"""Jobs as clients see them, faults, and reset."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from builders.clouds.tenants import belongings
from emulator.jobs.kinds import again, startable
from emulator.jobs.stages import STAGES
from emulator.resources.jobs.tables import Job

SCANS = "/api/users/root/scannedinstances"


def _job(kind: str) -> Job:
    return Job(user_id=1, kind=kind, subject="", created="")


def test_scarce_things_are_not_shared_and_the_rest_goes_on() -> None:
    first, second, proof, *scans = [_job(kind) for kind in ("build", "build", "verify", "scan", "scan", "scan")]
    assert startable([first, second, proof, *scans], []) == [first, proof, *scans[:2]]
    assert startable([second, scans[2]], [first, *scans[:2]]) == []
    assert startable([second, scans[2]], [scans[0]]) == [second, scans[2]]


@pytest.mark.parametrize(
    ("kind", "arguments", "command"),
    [
        ("scan", {"target": "docker:web", "name": "a b", "overlay": True}, "forgelet scan run --docker web --name 'a b' --overlay"),
        ("scan", {"target": "directory:/x", "name": "n", "overlay": False}, "forgelet scan run --root /x --name 'n'"),
        ("build", {"scan": 3}, "forgelet scan build --id 3 --file FILE"),
        ("verify", {"image": 4, "probes": ["http://:80/"]}, "forgelet image verify --id 4 --probe http://:80/"),
    ],
)
def test_a_job_knows_the_command_that_runs_it_again(kind: str, arguments: dict[str, Any], command: str) -> None:
    assert again(kind, arguments) == command


def test_every_transition_is_kept_with_its_time(drive: Any) -> None:
    scan = drive.scan()
    told = drive.http.get(f"/_forgelet/jobs/{scan['jobId']}").json()
    assert [(event["kind"], event["name"]) for event in told["events"]] == [("state", "queued"), ("state", "running"), ("stage", "scan.inventory"), ("state", "done")]
    assert [event["time"] for event in told["events"]] == sorted(event["time"] for event in told["events"])
    assert [stage["name"] for stage in told["stages"]] == ["scan.inventory"]
    assert told["stages"][0]["seconds"] >= 0


def test_a_log_is_followed_to_the_end_of_the_job(drive: Any, tasks: Any) -> None:
    tasks.gate.clear()
    scan = drive.http.post(SCANS, json={"name": "web", "target": "docker:web"}).json()
    threading.Timer(0.3, tasks.gate.set).start()
    text = drive.http.get(f"/_forgelet/jobs/{scan['jobId']}/log", params={"follow": True}).text
    assert text.splitlines() == ["[scan.inventory] working", "done: Successfully scanned"]


def test_a_queued_job_is_cancelled_at_once_and_never_runs(drive: Any, tasks: Any) -> None:
    scan = drive.scan()
    tasks.gate.clear()
    running = drive.build(scan).json()["images"]["image"][0]
    waiting = drive.build(scan).json()["images"]["image"][0]
    told = drive.http.delete(f"/_forgelet/jobs/{waiting['jobId']}")
    assert (told.status_code, told.json()["state"]) == (202, "cancelled")
    tasks.gate.set()
    assert drive.service.queue.wait(running["jobId"], 10)
    assert waiting["jobId"] not in tasks.order


def test_cancelling_what_has_ended_changes_nothing(drive: Any) -> None:
    scan = drive.scan()
    assert drive.http.delete(f"/_forgelet/jobs/{scan['jobId']}").json()["state"] == "done"


def test_a_job_that_is_not_there_is_not_found(drive: Any) -> None:
    assert drive.error(drive.http.get("/_forgelet/jobs/99"), 404)["hint"] == "forgelet job list"


def test_a_task_that_breaks_fails_with_its_cause_and_the_traceback_only_in_the_log(drive: Any, tasks: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(tasks, "_pass", broken)
    scan = drive.scan()
    told = drive.http.get(f"/_forgelet/jobs/{scan['jobId']}").json()
    assert (told["state"], told["exitCode"], told["code"]) == ("failed", 5, "internal")
    assert "by zero" in told["error"]
    assert "Traceback" not in drive.http.get(f"/_forgelet/jobs/{scan['jobId']}").text
    assert "Traceback" in drive.http.get(f"/_forgelet/jobs/{scan['jobId']}/log").text


def test_a_fault_happens_as_often_as_it_was_asked_for(drive: Any) -> None:
    made = drive.http.post("/_forgelet/faults", json={"stage": "scan.inventory", "action": "fail", "times": 2})
    assert made.status_code == 201
    states = [drive.service.ledger.get(drive.scan()["jobId"]).state for _ in range(3)]
    assert states == ["failed", "failed", "done"]
    assert drive.http.get("/_forgelet/faults").json() == {"faults": {"fault": []}}


def test_a_failed_job_says_how_to_run_it_again(drive: Any) -> None:
    drive.http.post("/_forgelet/faults", json={"stage": "scan.inventory", "action": "fail"})
    told = drive.http.get(f"/_forgelet/jobs/{drive.scan()['jobId']}").json()
    assert "scan.inventory" in told["error"]
    assert told["hint"]


@pytest.mark.parametrize("wrong", [{"stage": "scan.lunch", "action": "fail"}, {"stage": "scan.inventory", "action": "dance"}, {"stage": "scan.inventory", "action": "fail", "times": 0}])
def test_a_fault_that_cannot_happen_is_refused(drive: Any, wrong: dict[str, Any]) -> None:
    drive.error(drive.http.post("/_forgelet/faults", json=wrong), 400)


def test_faults_are_taken_away(drive: Any) -> None:
    for stage in STAGES:
        drive.http.post("/_forgelet/faults", json={"stage": stage, "action": "fail"})
    assert drive.http.delete("/_forgelet/faults").status_code == 204
    assert drive.service.ledger.get(drive.scan()["jobId"]).state == "done"


def test_reset_empties_everything_but_users_and_the_cache(drive: Any, tasks: Any) -> None:
    image = drive.image()
    folders = drive.service.folders
    (folders.cache / "kept").write_text("x")
    drive.http.post("/_forgelet/faults", json={"stage": "scan.inventory", "action": "fail"})
    tasks.gate.clear()
    drive.http.post(SCANS, json={"name": "running", "target": "docker:web"})
    assert drive.http.post("/_forgelet/reset").status_code == 200
    tasks.gate.set()
    assert drive.http.get(SCANS).json() == {"scannedInstances": {"scannedInstance": []}}
    assert drive.http.get("/_forgelet/jobs").json() == {"jobs": {"job": []}}
    assert drive.http.get("/_forgelet/faults").json() == {"faults": {"fault": []}}
    assert not folders.image(image["dbId"]).exists()
    assert (folders.cache / "kept").exists()
    assert drive.scan()["dbId"] == 1


def test_reset_of_one_user_leaves_the_others(drive: Any) -> None:
    image = drive.image()
    drive.http.post("/_forgelet/users", json={"login": "alice", "password": "secret"})
    alice = {"auth": ("alice", "secret")}
    hers = drive.http.post("/api/users/alice/scannedinstances", json={"name": "hers", "target": "docker:web"}, **alice).json()
    assert drive.service.queue.wait(hers["jobId"], 20)
    folders = drive.service.folders
    assert folders.scan(hers["dbId"]).exists()
    drive.error(drive.http.post("/_forgelet/reset", **alice), 403)
    drive.error(drive.http.post("/_forgelet/reset", params={"user": "root"}, **alice), 403)
    drive.error(drive.http.post("/_forgelet/reset", params={"user": "nobody"}), 404)
    told = drive.http.post("/_forgelet/reset", params={"user": "alice"}, **alice)
    assert told.json() == {"removed": {"cloud_account": 1, "job": 1, "scanned_instance": 1}, "givenBack": {"domains": 0, "blobs": 1, "clouds": 0}}
    assert drive.http.get("/api/users/alice/scannedinstances", **alice).json() == {"scannedInstances": {"scannedInstance": []}}
    assert not folders.scan(hers["dbId"]).exists() and not folders.job(hers["jobId"]).exists()
    assert folders.image(image["dbId"]).exists()
    assert len(drive.http.get(SCANS).json()["scannedInstances"]["scannedInstance"]) == 1
    drive.error(drive.http.get("/_forgelet/reset", auth=("alice", "wrong")), 401)


def test_reset_takes_the_cache_when_asked(drive: Any) -> None:
    folders = drive.service.folders
    (folders.cache / "kept").write_text("x")
    drive.http.post("/_forgelet/reset", params={"cache": True})
    assert list(folders.cache.iterdir()) == []


def test_a_reset_counts_what_it_gives_back(drive: Any, tasks: Any) -> None:
    folders = drive.service.folders
    drive.image()
    for name in ("one", "two"):
        (folders.cloud / "instances" / name).mkdir(parents=True)
        (folders.cloud / "instances" / name / f"forgelet-instance-{name}.domain").touch()
    (folders.cloud / "images/x").mkdir(parents=True)
    tasks.gate.clear()
    running = drive.http.post(SCANS, json={"name": "running", "target": "docker:web"}).json()
    folders.work(running["jobId"]).mkdir(parents=True, exist_ok=True)
    (folders.work(running["jobId"]) / "forgelet-verify.domain").touch()
    told = drive.http.post("/_forgelet/reset").json()
    tasks.gate.set()
    assert told["removed"] == {"cloud_account": 1, "image": 1, "job": 3, "job_event": told["removed"]["job_event"], "scan": 2, "scanned_instance": 2}
    # A scan's report, an image, an image of the cloud.
    assert told["givenBack"] == {"domains": 3, "blobs": 3, "clouds": 0}
    assert drive.http.post("/_forgelet/reset").json() == {"removed": {"cloud_account": 1}, "givenBack": {"domains": 0, "blobs": 0, "clouds": 0}}


def test_reset_of_one_user_takes_what_he_has_in_the_local_cloud(drive: Any) -> None:
    drive.http.post("/_forgelet/users", json={"login": "alice", "password": "secret"})
    cloud = drive.service.folders.cloud

    def put(part: str, name: str, **told: Any) -> Path:
        folder: Path = cloud / part / name
        folder.mkdir(parents=True)
        (folder / ("instance.json" if part == "instances" else "image.json")).write_text(json.dumps(told))
        return folder

    hers = [put("instances", "hers", tenant="alice", image="used"), put("images", "mine", tenant="alice")]
    (hers[0] / "forgelet-instance-hers.domain").touch()
    stay = [put("images", "used", tenant="alice"), put("instances", "his", tenant="root", image="used"), put("images", "roots", tenant="root")]
    assert belongings(cloud, "alice", ["half"]) == [*hers, cloud / "images/.half"]
    told = drive.http.post("/_forgelet/reset", params={"user": "alice"}).json()
    assert told["givenBack"] == {"domains": 1, "blobs": 1, "clouds": 0}
    assert [folder.exists() for folder in hers] == [False] * 2
    assert all(folder.exists() for folder in stay)
