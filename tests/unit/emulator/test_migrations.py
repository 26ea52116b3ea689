"""Migrations, stage by stage, on faked rooms and a cloud in memory."""

from __future__ import annotations

import hashlib
import hmac
import io
import zipfile
from typing import Any

import pytest
from lxml import etree
from support.service import until

from builders.errors import CloudRefused
from emulator.resources.images import proofs
from emulator.resources.migrations.tables import Migration
from scanner.targets.access import secret

BASE = "/api/users/root/migrations"
XML = {"Accept": "application/xml", "Content-Type": "application/xml"}
BUILDER = {"type": "openstack", "installation": {"diskSize": 2000}, "hardwareSettings": {"memory": 1024}, "account": "local", "imageName": "moved", "publicImage": "no"}
HAMMR = """<ns1:migration xmlns:ns1="http://www.usharesoft.com/uforge" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><name>by-hammr</name><stages>
<stage xsi:type="ns1:ScanStage"><family>linux</family></stage>
<stage xsi:type="ns1:GenerationStage"><image><compress>false</compress><targetFormat><name>OpenStack QCOW2</name></targetFormat><installProfile><diskSize>0</diskSize></installProfile></image></stage>
<stage xsi:type="ns1:PublicationStage"><publishImage xsi:type="ns1:PublishImageOpenStack"><credAccount xsi:type="ns1:CredAccountOpenStack"><name>local</name></credAccount>
<displayName>moved</displayName><tenantName>demo</tenantName></publishImage></stage></stages></ns1:migration>"""


def launch(drive: Any, **asked: Any) -> Any:
    answer = drive.http.post(f"{BASE}/launches", json={"name": "web", "target": "docker:web", "builder": BUILDER, **asked})
    assert answer.status_code == 201, answer.text
    return answer.json()


def ended(drive: Any, made: Any) -> Any:
    until(lambda: drive.http.get(f"{BASE}/{made['dbId']}").json()["state"] != "running")
    return drive.http.get(f"{BASE}/{made['dbId']}").json()


def test_from_scan_to_instance_to_proof(drive: Any) -> None:
    done = ended(drive, launch(drive, provision={"flavor": "small"}, verify=True))
    assert (done["state"], done["stageList"], done["status"]["percentage"], done["exitCode"]) == ("done", ["scan", "rehearse", "build", "publish", "provision", "verify"], 100, 0), done
    cloud = drive.service.rooms.fake_cloud
    assert [offer.name for offer, _ in cloud.images.values()] == ["moved"]
    assert [one.name for one in cloud.instances.values()] == ["web"]
    assert drive.service.ledger.get(done["made"]["verify"]).kind == "verify"
    assert drive.http.get(f"/api/users/root/images/{done['made']['build']}").json()["name"] == "moved"


def test_it_stops_where_a_stage_fails_and_goes_on_from_there(drive: Any) -> None:
    cloud = drive.service.rooms.fake_cloud
    cloud.refuse = CloudRefused("no room", hint="delete something")
    failed = ended(drive, launch(drive))
    assert (failed["state"], failed["stage"], failed["status"]["errorMessage"]) == ("failed", "publish", "no room")
    assert failed["hint"] == f"delete something; then go on: forgelet migration resume {failed['dbId']}"
    cloud.refuse = None
    assert drive.http.post(f"{BASE}/{failed['dbId']}/resume", json={}).status_code == 200
    done = ended(drive, failed)
    assert done["state"] == "done", done
    assert [done["made"][stage] for stage in ("scan", "build")] == [failed["made"][stage] for stage in ("scan", "build")]
    assert [job.kind for job in drive.service.ledger.jobs()] == ["scan", "build", "publish", "publish"]
    drive.error(drive.http.post(f"{BASE}/{done['dbId']}/resume", json={}), 409)


def test_a_proof_that_finds_differences_fails_the_migration_with_its_exit_code(drive: Any, tasks: Any) -> None:
    tasks.faithful = False
    failed = ended(drive, launch(drive, verify=True))
    assert (failed["state"], failed["stage"], failed["exitCode"]) == ("failed", "verify", 4)
    assert "1 unexplained differences" in failed["status"]["errorMessage"]


def test_what_opens_an_ssh_host_opens_it_for_the_proof_too_and_is_forgotten(drive: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    given, begin = [], proofs.begin

    def heard(*about: Any, access: Any = None, **more: Any) -> Any:
        given.append(access)
        return begin(*about, access=access, **more)

    monkeypatch.setattr(proofs, "begin", heard)
    done = ended(drive, launch(drive, target="ssh:me@host:22", probes=["http://:80/"], verify=True, access={"password": "sesame-9"}))
    assert done["state"] == "done", done
    assert [secret(one.password) for one in given] == ["sesame-9"]
    assert drive.service.ledger.get(done["made"]["verify"]).arguments["entrusted"] is True
    assert drive.service.conductor._access == {}
    assert b"sesame-9" not in b"".join(file.read_bytes() for file in drive.service.folders.data.glob("forgelet.db*"))


def test_it_is_stopped_in_the_stage_where_it_is(drive: Any, tasks: Any) -> None:
    tasks.gate.clear()
    made = launch(drive)
    until(lambda: drive.service.ledger.jobs()[0].state == "running")
    assert drive.http.post(f"{BASE}/{made['dbId']}/stop").status_code == 204
    stopped = ended(drive, made)
    assert (stopped["state"], stopped["status"]["cancelled"]) == ("cancelled", True)
    assert until(lambda: drive.service.ledger.jobs()[0].state == "cancelled")
    drive.error(drive.http.post(f"{BASE}/{made['dbId']}/stop"), 409)
    assert drive.http.delete(f"{BASE}/{made['dbId']}").status_code == 204
    assert drive.http.get(BASE).json() == {"migrations": {"migration": []}}


@pytest.mark.parametrize(
    ("asked", "status", "said"),
    [
        ({"target": "docker:gone"}, 404, "no container 'gone'"),
        ({"builder": {**BUILDER, "account": "nobody"}}, 404, "no cloud account 'nobody'"),
        ({"builder": {**BUILDER, "type": "Nimbus"}}, 400, "unknown type|Nimbus"),
        ({"builder": {**BUILDER, "publicImage": "perhaps"}}, 400, "neither yes nor no"),
        ({"publish": False, "provision": {"flavor": "small"}}, 400, "only what is published"),
        ({"name": ""}, 400, "name"),
        ({"name": "my web", "provision": {"flavor": "small"}}, 400, "name: letters, digits"),
        ({"provision": {"flavor": "small", "publicKeys": ["nonsense"]}}, 400, "no OpenSSH public key"),
        ({"provision": {"flavor": "huge"}}, 400, "the cloud has no 'huge'"),
    ],
    ids=str,
)
def test_what_is_wrong_is_said_before_anything_starts(drive: Any, asked: dict[str, Any], status: int, said: str) -> None:
    import re

    answer = drive.http.post(f"{BASE}/launches", json={"name": "web", "target": "docker:web", "builder": BUILDER, **asked})
    drive.error(answer, status)
    assert re.search(said, answer.text)
    assert drive.service.ledger.jobs() == []
    assert drive.http.get(BASE).json() == {"migrations": {"migration": []}}


def test_hammrs_waits_for_its_agent_and_takes_its_scan(drive: Any) -> None:
    made = drive.http.post(BASE, content=HAMMR, headers=XML)
    assert made.status_code == 201, made.text
    number = etree.fromstring(made.content).findtext("dbId")
    listed = etree.fromstring(drive.http.get(BASE, headers=XML).content).find("migrations/migration")
    assert (listed.findtext("name"), listed.findtext("status/message")) == ("by-hammr", "Scanning (1/4): waiting for the agent")
    drive.scan("by-hammr", overlay=True)
    done = ended(drive, {"dbId": number})
    assert (done["state"], done["stageList"]) == ("done", ["scan", "rehearse", "build", "publish"]), done
    sent = drive.http.get(f"/api/users/root/pimages/{done['made']['publish']}").json()
    assert (sent["name"], sent["keystoneProject"]) == ("moved", "demo")
    # Nobody said how large the disk shall be: what the scan needs, and some spare room.
    disk = drive.http.get(f"/api/users/root/images/{done['made']['build']}").json()["installProfile"]["diskSize"]
    assert disk > 500 and disk % 1024 == 0, "whole GiB"


def test_an_agent_that_does_not_report_fails_it(drive: Any) -> None:
    drive.service.settings.agent_wait = 0.2
    number = etree.fromstring(drive.http.post(BASE, content=HAMMR, headers=XML).content).findtext("dbId")
    failed = ended(drive, {"dbId": number})
    assert (failed["state"], failed["stage"], failed["exitCode"]) == ("failed", "scan", 3)
    assert "no agent reported" in failed["status"]["errorMessage"]


def fetched(drive: Any) -> tuple[str, str]:
    """hammr's copy of the agent: its number and its key."""
    told: dict[str, str] = {}
    with zipfile.ZipFile(io.BytesIO(drive.http.get("/resources/uforge-migrate.bin").content)) as packed:
        exec(packed.read("scanner/agent/stamp.py"), told)
    return told["AGENT"], told["KEY"]


def test_an_agent_that_was_fetched_and_does_not_report_is_told_with_where_it_should_have(drive: Any) -> None:
    drive.service.settings.agent_wait = 2
    number = etree.fromstring(drive.http.post(BASE, content=HAMMR, headers=XML).content).findtext("dbId")
    fetched(drive)
    failed = ended(drive, {"dbId": number})
    assert failed["status"]["errorMessage"] == "no agent reported for 'by-hammr' within 2 seconds: the machine could not reach http://testserver/api, or has no Python 3"
    assert "forgelet serve --host" in failed["hint"]


def test_what_the_agent_itself_says_ends_its_migration_at_once(drive: Any) -> None:
    number = etree.fromstring(drive.http.post(BASE, content=HAMMR, headers=XML).content).findtext("dbId")
    agent, key = fetched(drive)
    reason = "the password is wrong"
    proof = hmac.new(bytes.fromhex(key), f"agent {reason}".encode(), hashlib.sha256).hexdigest()
    assert drive.http.post("/api/agent/gone", json={"agent": agent, "reason": reason, "proof": proof}).status_code == 200
    failed = ended(drive, {"dbId": number})
    assert (failed["state"], failed["exitCode"]) == ("failed", 3)
    assert failed["status"]["errorMessage"] == f"the scan of 'by-hammr' could not begin: {reason}"


def test_what_blocks_the_build_fails_the_rehearsal_before_it(drive: Any) -> None:
    failed = ended(drive, launch(drive, builder={**BUILDER, "hardwareSettings": {"memory": 666}}))
    assert (failed["state"], failed["stage"], failed["status"]["message"]) == ("failed", "rehearse", "Failed: Rehearsing (2/4)")
    assert [job.kind for job in drive.service.ledger.jobs()] == ["scan"]


def test_one_that_a_dead_service_left_running_goes_on(drive: Any) -> None:
    """Its scan is done and its build was not begun: that is where it goes on."""
    scan = drive.scan(overlay=True)
    with drive.service.database.write() as session:
        session.add(Migration(user_id=1, name="web", wanted={"name": "web", "target": "docker:web", "builder": BUILDER}, made={"scan": scan["dbId"]}, job_id=scan["jobId"], created=scan["created"]))
    drive.service.conductor.begin()
    assert ended(drive, {"dbId": 1})["state"] == "done"


def test_nobody_sees_anothers(drive: Any) -> None:
    made = launch(drive)
    ended(drive, made)
    drive.http.post("/_forgelet/users", json={"login": "alice", "password": "secret"})
    place = f"/api/users/alice/migrations/{made['dbId']}"
    for method, path in (("GET", place), ("DELETE", place), ("POST", f"{place}/stop")):
        drive.error(drive.http.request(method, path, auth=("alice", "secret")), 404)
