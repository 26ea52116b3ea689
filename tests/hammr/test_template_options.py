"""Every option of `hammr template` that the other tests have no need of, in its short and its long form, and files in JSON. Builds are in
`test_templates.py`."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.hammr import Hammr
from support.service import Service

pytestmark = pytest.mark.hammr

BASE = "/api/users/root"
RUN = "bundles/tools/1.0/run.sh"
Listed = Callable[[], list[dict[str, Any]]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A template and a bundle in JSON; the bundle that the template brings is another than the library's."""
    made = tmp_path_factory.mktemp("json")
    for name in ("library", "own"):
        (made / name).mkdir()
        (made / name / "run.sh").write_text(name)
    bundles = {name: {"name": "tools", "version": "1.0", "files": [{"name": "run.sh", "source": str(made / name / "run.sh")}]} for name in ("library", "own")}
    stack = {"name": "web", "version": "1.0", "os": {"name": "Debian", "version": "12", "arch": "x86_64"}, "bundles": [bundles["own"]]}
    for name, document in (("bundle", bundles["library"]), ("template", {"stack": stack, "builders": [{"type": "OpenStack QCOW2"}]})):
        (made / f"{name}.json").write_text(json.dumps(document))
    return made


@pytest.fixture
def templates(service: Service) -> Listed:
    """What the service says, as JSON."""

    def listed() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = service.http.get(f"{BASE}/appliances").json()["appliances"]["appliance"]
        return found

    return listed


def kept(service: Service, template: dict[str, Any]) -> str:
    """The bundle's file in the template, on the service's disk."""
    return (service.data / "templates" / str(template["dbId"]) / "files" / RUN).read_text()


def packed(archive: Path) -> dict[str, bytes]:
    with tarfile.open(archive) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar if member.isfile()}  # type: ignore[union-attr]


def test_json_is_read_as_yaml_is_and_the_archive_is_left_where_it_was_asked_for(hammr: Hammr, service: Service, folder: Path, templates: Listed) -> None:
    """-r takes the library's bundle; the archive has what the file named."""
    assert "is ok" in hammr("template", "validate", "--file", str(folder / "template.json")).text
    assert templates() == []
    hammr("bundle", "create", "--file", str(folder / "bundle.json"))
    hammr("template", "create", "--file", str(folder / "template.json"), "--archive-path", str(folder / "kept.tar.gz"), "-r")
    (one,) = templates()
    assert (one["name"], one["imported"], kept(service, one)) == ("web", False, "library")
    archive = packed(folder / "kept.tar.gz")
    assert (archive[RUN], json.loads(archive["template.json"])["builders"]) == (b"own", None)


def test_without_a_file_the_export_is_in_the_folder_where_hammr_runs(hammr: Hammr, service: Service, templates: Listed) -> None:
    (one,) = templates()
    hammr("template", "export", "--id", str(one["dbId"]))
    archive = packed(hammr.home / "archive.tar.gz")
    assert yaml.safe_load(archive["template.yml"])["stack"]["name"] == "web"
    assert archive[RUN] == b"library"
    assert list((service.data / "exports").iterdir()) == []


def test_delete_asks(hammr: Hammr, service: Service, templates: Listed) -> None:
    (one,) = templates()
    words = ("template", "delete", "--id", str(one["dbId"]))
    assert "Do you really want to delete template" in hammr(*words, typed="n\n").text
    assert templates() == [one]
    hammr(*words, typed="y\n")
    assert templates() == []
    assert not (service.data / "templates" / str(one["dbId"])).exists()


def test_import_takes_the_librarys_bundle_or_forces_its_own(hammr: Hammr, service: Service, folder: Path, templates: Listed) -> None:
    archive = str(folder / "kept.tar.gz")
    hammr("template", "import", "--file", archive, "-r")
    (before,) = templates()
    assert (before["imported"], kept(service, before)) == (True, "library")
    hammr("template", "import", "--file", archive, "-f")
    (after,) = templates()
    assert (after["dbId"] > before["dbId"], kept(service, after)) == (True, "own")
    assert [path.read_text() for path in (service.data / "bundles").rglob("run.sh")] == ["own"]


def test_import_of_a_point_release_needs_usemajor(hammr: Hammr, service: Service, folder: Path, tmp_path: Path, templates: Listed) -> None:
    stack = json.loads(packed(folder / "kept.tar.gz")["template.json"])["stack"]
    document = {"stack": {**stack, "name": "point", "os": {**stack["os"], "version": "12.5"}}, "builders": None}
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as tar:
        for name, content in (("template.json", json.dumps(document).encode()), (RUN, b"third")):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    words = ("template", "import", "--file", str(tmp_path / "a.tar.gz"), "--rbundles")
    assert "12.5" in hammr(*words, status=2).text
    assert [one["name"] for one in templates()] == ["web"]
    hammr(*words, "--usemajor")
    made = templates()[-1]
    assert (made["name"], made["distributionName"].strip(), kept(service, made)) == ("point", "Debian 12", "own")


def test_create_replaces_with_f(hammr: Hammr, folder: Path, templates: Listed) -> None:
    before = templates()[0]
    hammr("template", "create", "--file", str(folder / "template.json"), "-f")
    (after,) = [one for one in templates() if one["name"] == "web"]
    assert (after["dbId"] > before["dbId"], after["imported"]) == (True, False)
