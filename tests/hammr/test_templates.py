"""Templates with the real client: created, listed, exported, imported, cloned, built, deleted; a scan becomes one."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.hammr import Hammr, Polls
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


def test_validate_names_the_file(hammr: Hammr, folder: Path) -> None:
    assert "ok" in hammr("template", "validate", "--file", str(folder / "template.yml")).text


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


def test_list_shows_it(hammr: Hammr) -> None:
    assert any(row[1:3] == ["web", "1.0"] for row in hammr("template", "list").rows() if len(row) > 2)


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
    hammr("template", "build", "--file", str(folder / "template.yml"), "--simulate", timeout=300)
    (image,) = service.http.get("/api/users/root/images").json()["images"]["image"]
    assert (image["status"]["complete"], image["installProfile"]["diskSize"]) == (True, 4000)
    made = service.data / "images" / str(image["dbId"])
    assert sorted(path.name for path in made.iterdir()) == ["build.log", "plan.json"]
    assert "openssh-server" in (made / "plan.json").read_text()


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
    for name, text in {
        "etc/os-release": 'ID=debian\nNAME="Debian GNU/Linux"\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\n',
        "var/lib/dpkg/status": "Package: hello\nStatus: install ok installed\nArchitecture: amd64\nVersion: 2.10-3\n",
        "var/lib/dpkg/arch": "amd64\n",
        "srv/own": "mine\n",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    scan = service.http.post("/api/users/root/scannedinstances", json={"name": "tree", "target": f"directory:{root}"}).json()
    assert service.ended(scan["jobId"])["state"] == "done"
    hammr("scan", "import", "--id", str(scan["dbId"]), "--name", "fromscan", "--version", "1")
    made = until(lambda: [found for found in templates() if found["name"] == "fromscan"])[0]
    assert (made["fromScan"], made["version"]) == (True, "1")
    stack = service.http.get(f"/api/{made['uri']}").json()
    assert stack["distributionName"].startswith("Debian 12")
    assert (service.data / "templates" / str(made["dbId"]) / "scan/head.json").exists()


def test_ctrl_c_stops_the_build_of_a_scan(hammr: Hammr, service: Service, folder: Path, polls: Polls) -> None:
    (group,) = service.http.get("/api/users/root/scannedinstances?includeScans=true").json()["scannedInstances"]["scannedInstance"]
    (scan,) = group["scans"]["scan"]
    (folder / "builder.yml").write_text("builders:\n- {type: OpenStack QCOW2, installation: {diskSize: 4000}, hardwareSettings: {memory: 1024}}\n")
    service.fault("build.plan", "hang")
    words = ("scan", "build", "--id", str(scan["dbId"]), "--file", str(folder / "builder.yml"))
    said = hammr.interrupted(words, polls(r"scannedinstances/\d+/scans/\d+/images/\d+/status", "build.plan"), typed="y\n")
    assert "Do you want to cancel the job ?" in said.text
    image = service.http.get("/api/users/root/images").json()["images"]["image"][-1]
    assert image["parentUri"] == scan["uri"]
    assert service.ended(image["jobId"])["state"] == "cancelled"
    hammr("image", "delete", "--id", str(image["dbId"]), typed="y\n")
    assert service.http.get(f"/api/users/root/images/{image['dbId']}").status_code == 404
