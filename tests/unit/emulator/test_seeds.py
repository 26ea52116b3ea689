"""Seeds over HTTP: what they make, what they leave alone, and what is refused."""

from __future__ import annotations

import io
import tarfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from emulator.jobs import templates
from emulator.jobs.inprocess import InProcessQueue
from emulator.jobs.outcome import Outcome
from emulator.jobs.tasks import Assignment
from emulator.service import Service

SEEDS = "/_forgelet/seeds"
SCANS = "/api/users/root/scannedinstances"
BUILDER = "builders:\n- type: openstack\n  hardwareSettings: {memory: 1024}\n  installation: {diskSize: 2000}\n"
STACK = {"name": "plain", "version": "1.0", "os": {"name": "Debian", "version": "12", "arch": "x86_64", "pkgs": [{"name": "nginx"}]}}


@pytest.fixture
def service(service: Service, tasks: Any) -> Service:
    table: dict[str, Callable[[Assignment], Outcome]] = {**tasks.table(), "import": templates.read, "scan-import": templates.from_scan}
    service.queue = InProcessQueue(service.ledger, service.folders, table)
    return service


@pytest.fixture
def base(tmp_path: Path, drive: Any) -> Path:
    """A folder with what a seed names: a recorded report, a builder file, a template's archive."""
    made = tmp_path / "seed"
    made.mkdir()
    scan = drive.scan("recorded")
    drive.service.folders.scan(scan["dbId"]).rename(made / "report")
    drive.http.post("/_forgelet/reset")
    (made / "builder.yml").write_text(BUILDER)
    with tarfile.open(made / "plain.tar.gz", "w:gz") as tar:
        text = yaml.safe_dump({"stack": STACK, "builders": None}).encode()
        member = tarfile.TarInfo("template.yml")
        member.size = len(text)
        tar.addfile(member, io.BytesIO(text))
    return made


WANTED = """
users:
- {login: alice, password: secret, quotas: {scan: 5}}
accounts:
- {type: openstack, name: there, keystoneUrl: "http://127.0.0.1:1", keystoneVersion: v3, glanceUrl: "http://127.0.0.1:1", login: x, password: y}
scans:
- {name: live, source: "docker:web", overlay: true}
- {name: recorded, report: report}
- {user: alice, name: hers, report: report}
templates:
- {name: plain, archive: plain.tar.gz}
images:
- {scan: live, spec: builder.yml}
"""


def put(drive: Any, base: Path, text: str = WANTED, name: str = "shop") -> Any:
    return drive.http.put(f"{SEEDS}/{name}", json={"text": text, "base": str(base)})


def test_everything_that_it_asks_for_is_there_once_however_often_it_is_applied(drive: Any, base: Path) -> None:
    assert put(drive, base).json() == {"name": "shop", "users": 1, "accounts": 1, "scans": 3, "templates": 1, "images": 1}
    first = drive.http.post(f"{SEEDS}/shop/apply")
    assert first.status_code == 200, first.text
    wanted = ["user alice", "account there", "scan live", "scan recorded", "scan hers", "template plain 1.0", "image of live by builder.yml"]
    assert (first.json()["made"], first.json()["there"]) == (wanted, [])

    def seen() -> list[Any]:
        alice = {"auth": ("alice", "secret")}
        paths = [SCANS, f"{SCANS}/2/scans/2/report", "/api/users/root/appliances", "/api/users/root/images", "/api/users/root/accounts"]
        return [drive.http.get(path).json() for path in paths] + [drive.http.get("/api/users/alice/scannedinstances", **alice).json()]

    before = seen()
    again = drive.http.post(f"{SEEDS}/shop/apply").json()
    assert (again["made"], again["there"]) == ([], wanted)
    assert seen() == before
    scans, report, appliances, images, accounts, hers = before
    assert [(one["name"], one["distribution"]["name"]) for one in scans["scannedInstances"]["scannedInstance"]] == [("live", "Debian"), ("recorded", "Debian")]
    assert report["system"]["hostname"] == "web"
    assert [one["name"] for one in appliances["appliances"]["appliance"]] == ["plain"]
    assert len(images["images"]["image"]) == 1
    assert [one["name"] for one in accounts["credAccounts"]["credAccount"]][-1] == "there"
    assert len(hers["scannedInstances"]["scannedInstance"]) == 1


def test_a_reset_with_a_seed_answers_when_it_is_there(drive: Any, base: Path) -> None:
    put(drive, base)
    drive.scan("other")
    told = drive.http.post("/_forgelet/reset", params={"seed": "shop"}).json()
    assert told["removed"]["scan"] == 1
    assert "scan live" in told["seed"]["made"]
    assert [one["name"] for one in drive.http.get(SCANS).json()["scannedInstances"]["scannedInstance"]] == ["live", "recorded"]


def test_the_service_is_ready_when_its_seed_is_there(drive: Any, base: Path, tasks: Any) -> None:
    put(drive, base)
    tasks.gate.clear()
    assert drive.http.post(f"{SEEDS}/shop/apply", params={"wait": False}).status_code == 202
    drive.error(drive.http.post(f"{SEEDS}/shop/apply"), 409)
    health = drive.http.get("/_forgelet/health").json()
    assert (health["ready"], health["seed"]["name"], health["seed"]["state"]) == (False, "shop", "seeding")
    tasks.gate.set()
    drive.service.seeding.last.wait()
    assert drive.http.get("/_forgelet/health").json()["ready"] is True


def test_a_step_that_fails_is_named_and_the_service_is_not_ready(drive: Any, base: Path) -> None:
    put(drive, base, "scans:\n- {name: a, source: 'docker:web'}\n- {name: b, source: 'docker:gone'}\n")
    told = drive.error(drive.http.post(f"{SEEDS}/shop/apply"), 500)
    assert told["localizedErrorMsg"]["message"] == "seed 'shop' stopped at scan b: there is no container 'gone'"
    assert drive.http.get("/_forgelet/health").json()["ready"] is False
    put(drive, base, "scans:\n- {name: a, source: 'docker:web'}\n")
    assert drive.http.post(f"{SEEDS}/shop/apply").json()["there"] == ["scan a"]
    assert drive.http.get("/_forgelet/health").json()["ready"] is True


def test_a_job_that_fails_stops_it_with_the_jobs_own_words(drive: Any, base: Path) -> None:
    put(drive, base)
    drive.http.post("/_forgelet/faults", json={"stage": "build.base", "message": "no mirror today"})
    told = drive.error(drive.http.post(f"{SEEDS}/shop/apply"), 500)
    assert "no mirror today" in told["localizedErrorMsg"]["message"]
    assert drive.http.post(f"{SEEDS}/shop/apply").json()["made"] == ["image of live by builder.yml"]


def test_each_builder_file_makes_its_image_of_a_scan_once(drive: Any, base: Path) -> None:
    (base / "larger.yml").write_text(BUILDER.replace("2000", "3000"))
    put(drive, base, "scans:\n- {name: live, source: 'docker:web', overlay: true}\nimages:\n- {scan: live, spec: builder.yml}\n- {scan: live, spec: larger.yml}\n")
    assert drive.http.post(f"{SEEDS}/shop/apply").json()["made"] == ["scan live", "image of live by builder.yml", "image of live by larger.yml"]
    (base / "larger.yml").write_text("# the same, a line further down\n" + BUILDER.replace("2000", "3000"))
    assert drive.http.post(f"{SEEDS}/shop/apply").json()["made"] == []
    assert [one["installProfile"]["diskSize"] for one in drive.http.get("/api/users/root/images").json()["images"]["image"]] == [2000, 3000]


def sowing(drive: Any, base: Path, tasks: Any) -> threading.Thread:
    """A seed that is being sown, at its first scan, for somebody who waits for it; its answer is in `told`."""
    put(drive, base)
    tasks.gate.clear()
    waiting = threading.Thread(target=lambda: setattr(waiting, "told", drive.http.post(f"{SEEDS}/shop/apply")))
    waiting.start()
    while not (drive.service.seeding.told() or {}).get("step", "").startswith("scan live") or not drive.service.ledger.jobs("running"):
        time.sleep(0.01)
    return waiting


def test_a_reset_ends_the_seed_that_is_being_sown_and_the_service_is_ready(drive: Any, base: Path, tasks: Any) -> None:
    waiting = sowing(drive, base, tasks)
    assert drive.http.post("/_forgelet/reset").status_code == 200
    assert drive.http.get("/_forgelet/health").json()["ready"] is True
    tasks.gate.set()
    waiting.join(10)
    assert "was ended at scan live" in drive.error(waiting.told, 409)["localizedErrorMsg"]["message"]  # type: ignore[attr-defined]
    assert drive.http.get(SCANS).json() == {"scannedInstances": {"scannedInstance": []}}
    assert drive.http.post(f"{SEEDS}/shop/apply").status_code == 200


def test_a_reset_with_a_seed_takes_the_place_of_one_that_is_being_sown(drive: Any, base: Path, tasks: Any) -> None:
    waiting = sowing(drive, base, tasks)
    put(drive, base, "scans:\n- {name: recorded, report: report}\n", name="small")
    told = drive.http.post("/_forgelet/reset", params={"seed": "small"})
    assert (told.status_code, told.json()["seed"]["made"]) == (200, ["scan recorded"]), told.text
    tasks.gate.set()
    waiting.join(10)
    assert [one["name"] for one in drive.http.get(SCANS).json()["scannedInstances"]["scannedInstance"]] == ["recorded"]
    assert drive.http.get("/_forgelet/health").json()["ready"] is True


def test_a_snapshot_is_not_saved_while_a_seed_is_sown_and_ends_it_when_it_is_loaded(drive: Any, base: Path, tasks: Any) -> None:
    assert drive.http.post("/_forgelet/snapshots/empty").status_code == 201
    waiting = sowing(drive, base, tasks)
    drive.error(drive.http.post("/_forgelet/snapshots/half"), 409)
    assert drive.http.post("/_forgelet/snapshots/empty/load").status_code == 200
    assert drive.http.get("/_forgelet/health").json()["ready"] is True
    tasks.gate.set()
    waiting.join(10)
    drive.error(waiting.told, 409)  # type: ignore[attr-defined]
    assert drive.http.get(SEEDS).json() == {"seeds": {"seed": []}}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("users: [{login: a}]", "users.0.password"),
        ("people: []", "people"),
        ("scans: [{name: a}]", "source"),
        ("scans: [{name: a, source: b, report: c}]", "not both"),
        ("scans: [{name: a, report: nowhere}]", "scans.0.report: there is no report in"),
        ("templates: [{name: a, archive: nowhere}]", "templates.0.archive"),
        ("images: [{scan: a, spec: builder.yml}]", "the seed has no scan 'a' of root"),
        ("users: [", "no YAML"),
        ("- a", "seed"),
    ],
)
def test_every_mistake_is_named_before_anything_is_made(drive: Any, base: Path, text: str, words: str) -> None:
    told = drive.error(put(drive, base, text), 400)
    assert words in " ".join([told["localizedErrorMsg"]["message"], *told["problems"]])
    assert drive.http.get(SEEDS).json() == {"seeds": {"seed": []}}


def test_a_report_that_is_cut_is_not_taken(drive: Any, base: Path) -> None:
    table = base / "report/files.ndjson.zst"
    table.write_bytes(b"no table")
    put(drive, base, "scans: [{name: a, report: report}]")
    told = drive.error(drive.http.post(f"{SEEDS}/shop/apply"), 500)
    assert "no whole report" in told["localizedErrorMsg"]["message"]
    assert drive.http.get(SCANS).json() == {"scannedInstances": {"scannedInstance": []}}


def test_seeds_are_kept_by_name_and_are_for_administrators(drive: Any, base: Path) -> None:
    put(drive, base)
    assert drive.http.get(SEEDS).json() == {"seeds": {"seed": [{"name": "shop"}]}}
    assert drive.http.get(f"{SEEDS}/shop").json() == {"name": "shop", "base": str(base), "text": WANTED}
    assert drive.service.folders.seeds.joinpath("shop.json").stat().st_mode & 0o077 == 0
    drive.http.post("/_forgelet/users", json={"login": "bob", "password": "secret"})
    drive.error(drive.http.post(f"{SEEDS}/shop/apply", auth=("bob", "secret")), 403)
    assert drive.http.delete(f"{SEEDS}/shop").status_code == 204
    drive.error(drive.http.post(f"{SEEDS}/shop/apply"), 404)
    drive.error(drive.http.post("/_forgelet/reset", params={"seed": "shop"}), 404)
    drive.error(put(drive, base, name=".hidden"), 400)


REPORTS = "/_forgelet/reports"


@pytest.mark.parametrize(("mode", "arcname"), [("w", "."), ("w:gz", "report")])
def test_a_recorded_report_that_is_sent_becomes_a_scan_of_whoever_sends_it(drive: Any, base: Path, mode: Any, arcname: str) -> None:
    drive.http.post("/_forgelet/users", json={"login": "alice", "password": "secret"})
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode=mode) as tar:
        tar.add(base / "report", arcname=arcname)
    made = drive.http.post(REPORTS, params={"name": "sent"}, content=packed.getvalue(), auth=("alice", "secret"))
    assert made.status_code == 201, made.text
    assert made.json()["status"]["complete"] and made.json()["uri"].startswith("users/alice/")
    assert drive.http.get(f"/api/{made.json()['uri']}/report", auth=("alice", "secret")).json()["system"]["hostname"] == "web"
    assert list((drive.service.folders.data / "uploads").iterdir()) == []


@pytest.mark.parametrize("member", ["", "../head.json", "other.json"])
def test_what_is_no_report_is_refused_and_leaves_nothing(drive: Any, member: str) -> None:
    packed = io.BytesIO()
    if member:
        with tarfile.open(fileobj=packed, mode="w") as tar:
            tar.addfile(tarfile.TarInfo(member))
    drive.error(drive.http.post(REPORTS, params={"name": "sent"}, content=packed.getvalue() or b"no archive"), 422)
    assert drive.http.get(SCANS).json() == {"scannedInstances": {"scannedInstance": []}}
    assert list((drive.service.folders.data / "uploads").iterdir()) == []
