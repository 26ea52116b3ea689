"""Templates with the real client: created, listed, exported, imported, cloned, built, deleted; a scan becomes one."""

from __future__ import annotations

import json
import re
import tarfile
import xml.etree.ElementTree as etree
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.hammr import ROOT, Hammr, Polls
from support.planted import planted_tree
from support.service import Service, until

pytestmark = pytest.mark.hammr

TEMPLATE = """\
stack:
  name: web
  version: '1.0'
  os: {name: Debian, version: '12', arch: x86_64, profile: Minimal, pkgs: [{name: openssh-server}]}
  installation: {diskSize: 3000, timezone: Europe/London}
  config:
  - {name: hello, source: hello.sh, type: bootscript, frequency: firstboot, order: '1'}
  bundles:
  - name: my tools
    version: '1.0'
    destination: /opt/tools
    license: {name: license.txt, source: license.txt}
    files:
    - {name: run.sh, source: run.sh, rights: '755', symlink: /usr/local/bin/run}
    - {name: src, source: src, files: [{name: sub, source: src/sub, files: [{name: b.txt, source: src/sub/b.txt}]}]}
builders:
- type: OpenStack QCOW2
  installation: {diskSize: 4000, swapSize: 0}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("template")
    (made / "src/sub").mkdir(parents=True)
    for name in ("hello.sh", "license.txt", "run.sh", "src/sub/b.txt"):
        (made / name).write_text(f"contents of {name}\n")
    # The client looks for relative sources from where it is run.
    (made / "template.yml").write_text(re.sub(r"source: (?=[a-z])", f"source: {made}/", TEMPLATE))
    return made


@pytest.fixture
def templates(service: Service) -> Callable[[], list[dict[str, Any]]]:
    """What the service says, as JSON."""

    def listed() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = service.http.get("/api/users/root/appliances").json()["appliances"]["appliance"]
        return found

    return listed


Listed = Callable[[], list[dict[str, Any]]]


def test_validate_names_the_file_and_sends_nothing(hammr: Hammr, folder: Path, templates: Listed) -> None:
    file = folder / "template.yml"
    assert f"Syntax of template file [{file.resolve()}] is ok" in hammr("template", "validate", "--file", str(file)).text
    assert templates() == []


def test_create_sends_every_file_and_its_nested_oddities_are_accepted(hammr: Hammr, service: Service, folder: Path, templates: Listed) -> None:
    said = hammr("template", "create", "--file", str(folder / "template.yml"))
    (one,) = templates()
    assert one["uri"] in said.text
    assert (one["name"], one["version"]) == ("web", "1.0")
    files = service.data / "templates" / str(one["dbId"]) / "files"
    assert (files / "config/hello.sh").read_text() == "contents of hello.sh\n"
    assert "contents of src/sub/b.txt\n" in [path.read_text() for path in files.rglob("*b.txt")]


def test_a_second_one_clashes_and_force_replaces(hammr: Hammr, folder: Path, templates: Listed) -> None:
    (before,) = templates()
    assert "already" in hammr("template", "create", "--file", str(folder / "template.yml"), status=2).text
    assert templates() == [before]
    hammr("template", "create", "--file", str(folder / "template.yml"), "--force", "--rbundles", "--usemajor")
    (after,) = templates()
    assert after["dbId"] > before["dbId"]


def test_list_shows_what_the_service_has(hammr: Hammr, templates: Listed) -> None:
    (one,) = templates()
    (row,) = [row for row in hammr("template", "list").rows() if row[0].isdigit()]
    assert row[:4] == [str(one["dbId"]), one["name"], one["version"], f"{one['distributionName']} {one['archName']}"]


@pytest.mark.parametrize("format", ["yaml", "json"])
def test_an_export_is_saved_and_imported_again(hammr: Hammr, tmp_path: Path, templates: Listed, format: str) -> None:
    one = next(found for found in templates() if found["name"] == "web")
    archive = tmp_path / "a.tar.gz"
    hammr("template", "export", "--id", str(one["dbId"]), "--file", str(archive), "--outputFormat", format)
    name = "template.yml" if format == "yaml" else "template.json"
    with tarfile.open(archive) as tar:
        members = {member.name: member for member in tar}
        stack = yaml.safe_load(tar.extractfile(name))["stack"]  # type: ignore[arg-type]
    assert stack["bundles"][0]["files"][0]["source"] in members
    hammr("template", "import", "--file", str(archive), "--force")
    (again,) = [found for found in templates() if found["name"] == "web"]
    assert again["imported"] is True


def test_clone_and_delete(hammr: Hammr, service: Service, templates: Listed) -> None:
    (one,) = templates()
    hammr("template", "clone", "--id", str(one["dbId"]), "--name", "copy", "--version", "2.0")
    clone = templates()[-1]
    assert (clone["name"], clone["version"]) == ("copy", "2.0")
    hammr("template", "delete", "--id", str(clone["dbId"]), "--no-confirm")
    assert [found["name"] for found in templates()] == ["web"]
    assert not (service.data / "templates" / str(clone["dbId"])).exists()


def test_a_simulated_build_plans_and_makes_no_disk(hammr: Hammr, service: Service, folder: Path) -> None:
    report = folder / "junit.xml"
    hammr("template", "build", "--file", str(folder / "template.yml"), "--simulate", "--force", "--junit", str(report), timeout=300)
    (image,) = service.http.get("/api/users/root/images").json()["images"]["image"]
    assert (image["status"]["complete"], image["installProfile"]["diskSize"]) == (True, 4000)
    assert f"/api/{image['downloadUri']}" in report.read_text() and "<error" not in report.read_text()
    made = service.data / "images" / str(image["dbId"])
    assert sorted(path.name for path in made.iterdir()) == ["build.log", "plan.json"]
    assert "openssh-server" in (made / "plan.json").read_text()


def test_a_build_by_id_needs_the_builder_alone_and_its_failure_is_told_and_in_the_report(hammr: Hammr, service: Service, tmp_path: Path, templates: Listed) -> None:
    (one,) = templates()
    (tmp_path / "builder.json").write_text(json.dumps({"builders": [{"type": "OpenStack QCOW2", "installation": {"diskSize": 3333}}]}))
    service.fault("build.plan", "fail")
    words = ("template", "build", "--id", str(one["dbId"]), "--file", str(tmp_path / "builder.json"), "--junit", str(tmp_path / "junit.xml"))
    said = hammr(*words).text
    image = service.http.get("/api/users/root/images").json()["images"]["image"][-1]
    assert (image["parentUri"], image["installProfile"]["diskSize"], service.job(image["jobId"])["state"]) == (one["uri"], 3333, "failed")
    assert "Generation 'OpenStack QCOW2' error: " in said and image["status"]["errorMessage"] in said
    (case,) = etree.parse(tmp_path / "junit.xml").getroot().iter("testcase")
    assert (case.get("name"), image["status"]["errorMessage"] in str(case.findtext("error"))) == ("Generation OpenStack QCOW2", True)


def test_ctrl_c_cannot_stop_a_build_but_image_cancel_does_and_delete_takes_it_away(
    hammr: Hammr, service: Service, folder: Path, polls: Polls
) -> None:
    """The client asks, and then looks for the image under a name that it never gave it (PROTOCOL 4.3): the service hears nothing."""
    service.fault("build.plan", "hang")
    words = ("template", "build", "--file", str(folder / "template.yml"))
    said = hammr.interrupted(words, polls(r"appliances/\d+/images/\d+/status", "build.plan"), typed="y\n", status=None)
    assert "Impossible to cancel" in said.text
    image = service.http.get("/api/users/root/images").json()["images"]["image"][-1]
    assert service.job(image["jobId"])["state"] == "running"
    hammr("image", "cancel", "--id", str(image["dbId"]), typed="n\n")
    assert service.job(image["jobId"])["state"] == "running"
    assert "Image Canceled" in hammr("image", "cancel", "--id", str(image["dbId"]), typed="y\n").text
    assert service.ended(image["jobId"])["state"] == "cancelled"
    assert "impossible to cancel" in hammr("image", "cancel", "--id", str(image["dbId"]), status=2).text
    assert "Image deleted" in hammr("image", "delete", "--id", str(image["dbId"]), typed="y\n").text
    assert service.http.get(f"/api/users/root/images/{image['dbId']}").status_code == 404
    assert not (service.data / "images" / str(image["dbId"])).exists()


def test_a_template_that_is_not_there_is_told(hammr: Hammr, templates: Listed) -> None:
    before = templates()
    assert "99" in hammr("template", "delete", "--id", "99", "--no-confirm", status=None).text
    assert templates() == before


def test_a_scan_becomes_a_template(hammr: Hammr, service: Service, tmp_path: Path, templates: Listed) -> None:
    root = tmp_path / "root"
    planted_tree(root)
    (root / "srv").mkdir()
    (root / "srv/own").write_text("mine\n")
    scan = service.http.post("/api/users/root/scannedinstances", json={"name": "tree", "target": f"directory:{root}"}).json()
    assert service.ended(scan["jobId"])["state"] == "done"
    hammr("scan", "import", "--id", str(scan["dbId"]), "--name", "fromscan", "--version", "1")
    made = until(lambda: [found for found in templates() if found["name"] == "fromscan"])[0]
    assert (made["fromScan"], made["version"]) == (True, "1")
    stack = service.http.get(f"/api/{made['uri']}").json()
    assert stack["distributionName"].startswith("Debian 12")
    assert (service.data / "templates" / str(made["dbId"]) / "scan/head.json").exists()


@pytest.mark.parametrize(("answer", "state"), [("y", "cancelled"), ("n", "running")])
def test_ctrl_c_stops_the_build_of_a_scan_when_it_is_said_so(hammr: Hammr, service: Service, folder: Path, polls: Polls, answer: str, state: str) -> None:
    (group,) = service.http.get("/api/users/root/scannedinstances?includeScans=true").json()["scannedInstances"]["scannedInstance"]
    (scan,) = group["scans"]["scan"]
    (folder / "builder.yml").write_text("builders:\n- {type: OpenStack QCOW2, installation: {diskSize: 4000}, hardwareSettings: {memory: 1024}}\n")
    service.fault("build.plan", "hang")
    words = ("scan", "build", "--id", str(scan["dbId"]), "--file", str(folder / "builder.yml"))
    said = hammr.interrupted(words, polls(r"scannedinstances/\d+/scans/\d+/images/\d+/status", "build.plan"), typed=f"{answer}\n")
    assert "Do you want to cancel the job ?" in said.text
    image = service.http.get("/api/users/root/images").json()["images"]["image"][-1]
    assert image["parentUri"] == scan["uri"]
    if state == "running":
        assert service.job(image["jobId"])["state"] == "running"
        hammr("image", "cancel", "--id", str(image["dbId"]), typed="y\n")
    assert service.ended(image["jobId"])["state"] == "cancelled"
    hammr("image", "delete", "--id", str(image["dbId"]), typed="y\n")
    assert service.http.get(f"/api/users/root/images/{image['dbId']}").status_code == 404


@pytest.mark.parametrize("kind", ["yml", "json"])
def test_the_builder_file_of_the_documentation_is_built(hammr: Hammr, service: Service, tmp_path: Path, kind: str) -> None:
    """The build is made to fail, so that no disk is made: what it was asked for is seen. The client sends no more of the file."""
    (group,) = service.http.get("/api/users/root/scannedinstances?includeScans=true").json()["scannedInstances"]["scannedInstance"]
    (scan,) = group["scans"]["scan"]
    file = tmp_path / f"openstack-builder.{kind}"
    text = (ROOT / "examples/openstack-builder.yml").read_text()
    file.write_text(text if kind == "yml" else json.dumps(yaml.safe_load(text)))
    service.fault("build.plan", "fail")
    said = hammr("scan", "build", "--id", str(scan["dbId"]), "--file", str(file)).text
    assert "Generating 'openstack' image (1/1)" in said and "Generation 'openstack' error: " in said
    image = service.http.get("/api/users/root/images").json()["images"]["image"][-1]
    assert image["status"]["errorMessage"] in said
    assert (image["targetFormat"]["name"], image["installProfile"]["diskSize"], image["parentUri"]) == ("openstack", 2000, scan["uri"])
    assert service.job(image["jobId"])["state"] == "failed"
