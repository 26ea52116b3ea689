"""Builds, images and proofs."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from typing import Any

import pytest

from builders import origins, traces
from builders.built import Built
from emulator.resources.images.service import DETAILS
from emulator.resources.users.tables import User
from emulator.service import Service

from .conftest import BUILDER

TWO = """---
builders:
- type: openstack
  hardwareSettings: {memory: 1024}
  installation: {diskSize: %d}
- type: openstack
  hardwareSettings: {memory: 512}
  installation: {diskSize: %d}
"""


def test_an_image_is_told_under_uforges_names(drive: Any) -> None:
    image = drive.image()
    told = drive.http.get(f"/api/{image['uri']}").json()
    assert image["uri"] == "users/root/scannedinstances/1/scans/1/images/1"
    assert (told["name"], told["targetFormat"]["name"], told["installProfile"]) == ("scan-test", "openstack", {"diskSize": 2000, "memorySize": 1024})
    assert told["status"]["complete"] is True
    assert told["bootCommand"].startswith("qemu-system-x86_64")
    listed = drive.http.get("/api/users/root/images").json()["images"]["image"]
    assert listed == [{key: value for key, value in told.items() if key not in DETAILS}]


def test_a_list_of_images_leaves_out_the_details_that_the_single_image_tells(drive: Any) -> None:
    image = drive.image()
    record = drive.service.folders.image(image["dbId"]) / "image.json"
    made = json.loads(record.read_bytes())
    made["provenance"] = {"codename": "bookworm", "packages": {"nginx": "1.22.1-9"}}
    record.write_text(json.dumps(made))
    (listed,) = drive.http.get("/api/users/root/images").json()["images"]["image"]
    told = drive.http.get(f"/api/{image['uri']}").json()
    assert told["provenance"] == {"codename": "bookworm", "packages": {"nginx": "1.22.1-9"}}
    assert told.keys() - listed.keys() == DETAILS and listed.items() <= told.items()


def test_builders_of_one_file_are_built_one_after_the_other(drive: Any, tasks: Any) -> None:
    scan = drive.scan()
    tasks.gate.clear()
    images = drive.build(scan, TWO % (2000, 3000)).json()["images"]["image"]
    states = [drive.service.ledger.get(image["jobId"]).state for image in images]
    assert states == ["running", "queued"]
    tasks.gate.set()
    assert all(drive.service.queue.wait(image["jobId"], 10) for image in images)
    assert tasks.order[1:] == [image["jobId"] for image in images]


def test_every_mistake_of_every_builder_is_named_and_nothing_is_started(drive: Any) -> None:
    scan = drive.scan()
    told = drive.error(drive.build(scan, TWO % (70, 80)), 400)
    assert len(told["problems"]) == 2
    assert len(drive.service.ledger.jobs()) == 1
    assert drive.http.get("/api/users/root/images").json() == {"images": {"image": []}}


def test_a_disk_that_is_too_small_is_named_along_with_the_other_mistakes_of_the_file(drive: Any) -> None:
    text = "builders:\n- type: nonsense\n  hardwareSettings: {memory: x}\n  installation:\n\n    diskSize: 70\n"
    told = drive.error(drive.build(drive.scan(), text), 400)
    assert [problem.partition(",")[0] for problem in told["problems"]] == ["line 2", "line 3", "line 6"]
    assert "70 is too small" in told["problems"][2]


def test_a_file_that_is_no_yaml_is_refused(drive: Any) -> None:
    told = drive.error(drive.build(drive.scan(), "builders: ["), 400)
    assert told["code"] == "invalid-spec"


def test_a_scan_that_is_not_done_cannot_be_built(drive: Any, tasks: Any) -> None:
    tasks.gate.clear()
    scan = drive.http.post("/api/users/root/scannedinstances", json={"name": "web", "target": "docker:web"}).json()
    assert "job show" in drive.error(drive.build(scan), 409)["hint"]


def test_the_disk_is_downloaded_whole_and_in_ranges(drive: Any) -> None:
    image = drive.image()
    whole = drive.http.get(f"/api/{image['downloadUri']}")
    part = drive.http.get(f"/api/users/root/images/{image['dbId']}/download", params={"format": "raw"}, headers={"Range": "bytes=510-511"})
    assert whole.content == (drive.service.folders.image(image["dbId"]) / "disk.raw").read_bytes()
    assert (part.status_code, part.content) == (206, b"\x55\xaa")
    assert part.headers["ETag"] == whole.headers["ETag"] == f'"{hashlib.sha256(whole.content).hexdigest()}"'
    assert whole.headers["Repr-Digest"].startswith("sha-256=:")
    drive.error(drive.http.get(f"/api/users/root/images/{image['dbId']}/download", params={"format": "qcow2"}), 404)


@pytest.mark.parametrize("asked", ["bytes=999999999-", "bytes=-0", "bytes=99999999999-999999999999, -0"])
def test_a_range_that_the_disk_does_not_have_is_told(drive: Any, asked: str) -> None:
    place = f"/api/users/root/images/{drive.image()['dbId']}/download"
    size = len(drive.http.get(place).content)
    answer = drive.http.get(place, headers={"Range": asked})
    told = drive.error(answer, 416)
    assert (told["code"], answer.headers["content-range"]) == ("range", f"bytes */{size}")
    answer = drive.http.get(place, headers={"Range": asked, "Accept": "application/xml"})
    assert (answer.status_code, answer.headers["content-type"]) == (416, "application/xml")
    assert b"uforgeError" in answer.content


@pytest.mark.parametrize("asked", ["lines=1-2", "bytes=abc", "bytes=5-1", "bytes", "bytes=", "bytes=-", "bytes=0-1,x", "bytes=1-2-3", f"bytes={'9' * 5000}-"])
def test_a_range_that_is_none_is_ignored(drive: Any, asked: str) -> None:
    place = f"/api/users/root/images/{drive.image()['dbId']}/download"
    answer = drive.http.get(place, headers={"Range": asked})
    assert (answer.status_code, answer.content) == (200, drive.http.get(place).content)


def test_of_several_ranges_those_are_sent_that_there_are(drive: Any) -> None:
    place = f"/api/users/root/images/{drive.image()['dbId']}/download"
    whole = drive.http.get(place)
    for asked in ("bytes=0-3,99999999999-", "BYTES = 0-3"):
        answer = drive.http.get(place, headers={"Range": asked})
        assert (answer.status_code, answer.content) == (206, whole.content[:4])
    for known, status in ((whole.headers["etag"], 416), ('"another"', 200)):
        assert drive.http.get(place, headers={"Range": "bytes=99999999999-", "If-Range": known}).status_code == status


def test_a_cancelled_build_leaves_nothing_behind(drive: Any, tasks: Any) -> None:
    scan = drive.scan()
    tasks.gate.clear()
    image = drive.build(scan).json()["images"]["image"][0]
    assert drive.http.delete(f"/api/{image['uri']}/status").status_code == 204
    assert drive.service.queue.wait(image["jobId"], 10)
    assert drive.http.get(f"/api/{image['uri']}/status").json()["cancelled"] is True
    assert not drive.service.folders.image(image["dbId"]).exists()
    drive.error(drive.http.get(f"/api/{image['downloadUri']}"), 409)


def test_a_proof_is_a_job_and_the_last_one_is_kept(drive: Any, tasks: Any) -> None:
    image = drive.image()
    flat = f"/api/users/root/images/{image['dbId']}/verifications"
    drive.error(drive.http.get(f"{flat}/last"), 404)
    for faithful, code in ((True, 0), (False, 4)):
        tasks.faithful = faithful
        job = drive.http.post(flat, json={}).json()
        assert drive.service.queue.wait(job["dbId"], 10)
        assert drive.service.ledger.get(job["dbId"]).exit_code == code
    last = drive.http.get(f"{flat}/last").json()
    assert (last["jobId"], last["scopes"]["packages"]["unexplained"]) == (job["dbId"], 1)
    page = drive.http.get(f"{flat}/last/page")
    assert (page.text, page.headers["content-type"]) == ("<!doctype html>", "text/html; charset=utf-8")


def test_the_evidence_of_the_last_proof_is_one_archive_and_a_file_of_the_image(drive: Any, tasks: Any) -> None:
    image = drive.image()
    drive.error(drive.http.get(f"/api/{image['uri']}/evidence"), 404)
    folder = drive.service.folders.image(image["dbId"])
    (folder / "plan.json").write_text("{}")
    drive.service.folders.log(image["jobId"]).parent.mkdir(parents=True, exist_ok=True)
    drive.service.folders.log(image["jobId"]).write_text("built\n")
    job = drive.http.post(f"/api/{image['uri']}/verifications", json={}).json()
    assert drive.service.queue.wait(job["dbId"], 10)
    assert "older Forgelet" in str(drive.error(drive.http.get(f"/api/{image['uri']}/evidence"), 400))
    origins.write(folder / origins.FILE, ["/usr/bin/cloud"], {}, {}, lambda path: Built("file", "0755"))
    answer = drive.http.get(f"/api/{image['uri']}/evidence")
    assert answer.headers["content-type"] == "application/gzip"
    with tarfile.open(fileobj=io.BytesIO(answer.content)) as tar:
        names = tar.getnames()
        assert json.load(tar.extractfile("spec.json"))["disk_size"] == 2000  # type: ignore[arg-type]
    assert {"manifest.json", "source/head.json", "image.json", "plan.json", "build.log", "proof/fidelity.json", "proof/fidelity.html"} <= set(names)
    assert drive.http.get(f"/api/{image['uri']}/verifications/last").json()["jobId"] == job["dbId"]


def test_a_proof_is_asked_for_with_everything_that_its_job_needs_and_secrets_are_in_no_row(drive: Any, tasks: Any) -> None:
    image = drive.image()
    body = {"probes": ["tcp://:22"], "source": "ssh:me@host:22", "strict": True, "access": {"password": "hush"}}
    job = drive.http.post(f"/api/{image['uri']}/verifications", json=body).json()
    assert drive.service.queue.wait(job["dbId"], 10)
    assert drive.service.ledger.get(job["dbId"]).arguments == {"image": 1, "scan": 1, "probes": ["tcp://:22"], "source": "ssh:me@host:22", "strict": True, "entrusted": True}


def test_what_opens_a_source_is_kept_only_for_one_that_takes_a_login(drive: Any, tasks: Any) -> None:
    image = drive.image()
    for body in ({"probes": ["http://:80/"]}, {}):
        job = drive.http.post(f"/api/{image['uri']}/verifications", json={**body, "access": {"password": "hush"}}).json()
        assert drive.service.queue.wait(job["dbId"], 10)
        assert drive.service.ledger.get(job["dbId"]).arguments["entrusted"] is False


def test_a_probe_that_cannot_be_understood_starts_nothing(drive: Any) -> None:
    image = drive.image()
    told = drive.error(drive.http.post(f"/api/{image['uri']}/verifications", json={"probes": ["gopher://:70"]}), 400)
    assert "gopher" in told["problems"][0]
    assert [job.kind for job in drive.service.ledger.jobs()] == ["scan", "build"]


def test_only_an_administrator_has_commands_run_on_the_engines_of_this_machine(drive: Any) -> None:
    image = drive.image()
    with drive.service.database.write() as session:
        session.get_one(User, 1).admin = False
    place = f"/api/{image['uri']}/verifications"
    drive.error(drive.http.post(place, json={"probes": ["cmd:id"], "source": "docker:web"}), 403)
    assert drive.http.post(place, json={"probes": ["cmd:id"], "source": "ssh:me@host:22"}).status_code == 201
    assert drive.http.post(place, json={"probes": ["http://:80/"], "source": "docker:web"}).status_code == 201


def test_probes_need_a_source_that_is_there(drive: Any) -> None:
    image = drive.image()
    body = {"probes": ["http://:80/"], "source": "docker:gone"}
    drive.error(drive.http.post(f"/api/{image['uri']}/verifications", json=body), 404)
    assert [job.kind for job in drive.service.ledger.jobs()] == ["scan", "build"]


def test_deleting_an_image_takes_its_folder_and_then_its_scan_can_go(drive: Any) -> None:
    image = drive.image()
    assert drive.http.delete(f"/api/{image['uri']}").status_code == 204
    assert not drive.service.folders.image(image["dbId"]).exists()
    assert drive.http.delete(f"/api/{image['parentUri']}").status_code == 204


def test_an_image_is_only_found_below_its_own_scan(drive: Any) -> None:
    image = drive.image()
    other = drive.scan("other")
    drive.error(drive.http.get(f"/api/{other['uri']}/images/{image['dbId']}"), 404)


ASKED = {"targetFormat": {"name": "OpenStack QCOW2"}, "installProfile": {"diskSize": 2000, "swapSize": 512}, "compress": False}
"""To this service a scan's swap is its source's; the rehearsal says so, and is faked here."""


def asked_of(drive: Any, **changes: Any) -> Any:
    """The answer to what hammr sends for `scan build`."""
    scan = drive.scan()
    return drive.http.post(f"/api/{scan['uri']}/images", json={**ASKED, **changes})


def test_hammr_asks_for_one_image_and_is_told_what_it_sent(drive: Any) -> None:
    answer = asked_of(drive)
    assert answer.status_code == 201, answer.text
    image = answer.json()
    assert drive.service.queue.wait(image["jobId"], 10)
    assert drive.service.ledger.get(image["jobId"]).state == "done"
    told = drive.http.get(f"/api/{image['uri']}").json()
    assert told["installProfile"] == {"diskSize": 2000, "swapSize": 512, "memorySize": 1024}
    assert (told["targetFormat"]["format"]["name"], told["revision"], told["compress"]) == ("openstackqcow2", 1, True)
    assert told["size"] == told["fileSize"] == 4194304


def test_revisions_count_the_images_of_one_kind_of_one_scan(drive: Any) -> None:
    scan = drive.scan()
    kinds = ["OpenStack QCOW2", "Raw Virtual Disk", "OpenStack QCOW2"]
    answers = [drive.http.post(f"/api/{scan['uri']}/images", json={**ASKED, "targetFormat": {"name": kind}}) for kind in kinds]
    assert [answer.json()["revision"] for answer in answers] == [1, 1, 2]


def test_what_cannot_be_built_is_refused_with_the_reason_and_nothing_is_started(drive: Any) -> None:
    told = drive.error(asked_of(drive, targetFormat={"name": "Docker"}), 400)
    assert "it is no disk but a container image" in told["localizedErrorMsg"]["message"]
    assert "openstack vmdk" in told["hint"]
    assert len(drive.service.ledger.jobs()) == 1


def test_sizes_that_make_no_sense_are_all_named(drive: Any) -> None:
    told = drive.error(asked_of(drive, installProfile={"diskSize": 1, "memorySize": 1}), 400)
    assert [problem.partition(":")[0] for problem in told["problems"]] == ["installProfile.diskSize", "installProfile.memorySize"]
    assert len(drive.service.ledger.jobs()) == 1


def test_the_download_opens_with_its_secret_and_with_nothing_else(drive: Any) -> None:
    image = drive.image()
    drive.http.auth = None
    uri = f"/api/{image['downloadUri']}"
    disk = (drive.service.folders.image(image["dbId"]) / "disk.raw").read_bytes()
    assert drive.http.get(uri).content == disk
    assert drive.http.get(uri, headers={"Range": f"bytes={len(disk) - 4}-"}).content == disk[-4:]
    assert drive.http.head(uri).headers["content-length"] == str(len(disk))
    for wrong in (uri[:-1], uri.replace("/1/", "/2/"), f"/api/downloads/1/{'x' * 32}"):
        drive.error(drive.http.get(wrong), 404)
    assert drive.http.get("/api/users/root/images/1/download").status_code == 401


def test_a_build_goes_ahead_under_conditions_and_says_them(drive: Any) -> None:
    assert drive.image()["conditions"] == ["interface-names: the network is translated"]


@pytest.mark.parametrize(("memory", "status", "code", "said"), [(666, 400, "blocked", "no kernel in reach"), (667, 503, "unreachable", "does not answer")])
def test_a_build_that_the_rehearsal_blocks_is_refused_before_a_job_starts(drive: Any, memory: int, status: int, code: str, said: str) -> None:
    scan = drive.scan(overlay=True)
    before = drive.http.get("/_forgelet/jobs").json()
    told = drive.error(drive.build(scan, BUILDER.replace("1024", str(memory))), status)
    assert told["code"] == code
    assert said in json.dumps(told)
    assert drive.http.get("/_forgelet/jobs").json() == before
    assert drive.http.get("/api/users/root/images").json() == {"images": {"image": []}}


def test_a_rehearsal_answers_each_builder_and_starts_nothing(drive: Any) -> None:
    scan = drive.scan(overlay=True)
    before = drive.http.get("/_forgelet/jobs").json()
    more = BUILDER + "- {type: openstack, hardwareSettings: {memory: 666}, installation: {diskSize: 3000}}\n"
    answer = drive.http.post(f"/api/{scan['uri']}/rehearsals", json={"fileName": "b.yml", "text": more})
    assert answer.status_code == 200
    told = answer.json()["rehearsals"]["rehearsal"]
    assert [one["verdict"] for one in told] == ["ready with conditions", "blocked"]
    assert told[0]["points"][0]["evidence"] == ["eth0"]
    assert drive.http.get("/_forgelet/jobs").json() == before


def test_a_rehearsal_of_a_wrong_file_or_an_unfinished_scan_is_refused(drive: Any, tasks: Any) -> None:
    scan = drive.scan(overlay=True)
    drive.error(drive.http.post(f"/api/{scan['uri']}/rehearsals", json={"fileName": "b.yml", "text": "builders: ["}), 400)
    tasks.gate.clear()
    other = drive.http.post("/api/users/root/scannedinstances", json={"name": "two", "target": "docker:web"}).json()
    drive.error(drive.http.post(f"/api/{other['uri']}/rehearsals", json={"fileName": "b.yml", "text": BUILDER}), 409)


def test_a_build_that_may_fetch_nothing_is_refused_with_what_the_cache_lacks_before_a_job_starts(drive: Any) -> None:
    scan = drive.scan(overlay=True)
    before = drive.http.get("/_forgelet/jobs").json()
    asked = {"fileName": "b.yml", "text": BUILDER, "offline": True}
    told = drive.error(drive.http.post(f"/api/{scan['uri']}/builds", json=asked), 400)
    assert told["problems"] == ["not-cached: 2 packages are not in the cache"]
    assert told["hint"] == "build once without --offline"
    assert drive.http.get("/_forgelet/jobs").json() == before
    (one,) = drive.http.post(f"/api/{scan['uri']}/rehearsals", json=asked).json()["rehearsals"]["rehearsal"]
    assert [point["evidence"] for point in one["points"] if point["code"] == "not-cached"] == [["nginx=1", "login=2"]]
    assert drive.build(scan).status_code == 201


def test_the_log_of_the_build_lies_beside_the_image(drive: Any, service: Service) -> None:
    image = drive.image()
    told = (service.folders.image(image["dbId"]) / "build.log").read_text()
    assert "[build.base] working" in told


def test_a_path_of_an_image_is_explained_from_what_the_build_wrote_down(drive: Any) -> None:
    image = drive.image()
    folder = drive.service.folders.image(image["dbId"])
    place = f"/api/{image['uri']}/explanation"
    drive.error(drive.http.get(place, params={"path": "/usr/bin/cloud"}), 409)
    origins.write(folder / origins.FILE, ["/usr/bin/cloud", "/odd\udcfe"], {"/usr/bin/cloud": "added-package"}, {"/usr/bin/cloud": "cloud"}, lambda path: Built("file", "0755"))
    drive.error(drive.http.get(place, params={"path": "/usr/bin/cloud"}), 409)
    traces.write(folder / traces.PASS, [("/etc/motd", traces.TRANSLATION), ("/odd\udcff", traces.START)])
    told = drive.http.get(place, params={"path": "/usr/bin/cloud"}).json()
    assert (told["origin"]["by"], told["origin"]["what"], told["origin"]["rule"], told["source"]) == ("package", "cloud", "added-package", None)
    assert drive.http.get(f"{place}?path=/odd%FE").json()["origin"]["by"] == "base"
    assert drive.http.get(f"{place}?path=/odd%FF").json()["origin"]["by"] == "last pass"
    told = drive.http.get(place, params={"path": "/etc/motd"}).json()
    assert (told["origin"]["what"], told["source"]["path"]) == ("translation", "/etc/motd")
    drive.error(drive.http.get(place, params={"path": "/nowhere"}), 404)
    drive.error(drive.http.get(place, params={"path": "nowhere"}), 400)


def test_the_build_of_a_scan_is_not_simulated_by_a_real_one(drive: Any) -> None:
    answer = asked_of(drive, simulated=True)
    assert "rehearse" in drive.error(answer, 400)["hint"]
    assert drive.http.get("/api/users/root/images").json()["images"]["image"] == []


@pytest.mark.parametrize("swap", [-5, 1 << 20])
def test_a_swap_of_no_size_is_refused(drive: Any, swap: int) -> None:
    answer = asked_of(drive, installProfile={"diskSize": 2000, "swapSize": swap})
    assert "swapSize" in drive.error(answer, 400)["problems"][0]
