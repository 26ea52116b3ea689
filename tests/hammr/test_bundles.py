"""Bundles with the real client: every sub-command, and templates that take bundles from the library. The disk is asked each time."""

from __future__ import annotations

import re
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
BUNDLE = """\
name: my tools
version: '1.0'
description: What everybody needs
category: Databases
destination: /opt/tools
license: {name: license, source: license.txt}
sourceLogo: logo.png
files:
- {name: run.sh, source: run.sh, rights: '755', ownerGroup: 'root:root', symlink: /usr/local/bin/run}
- {name: src, source: src, files: [{name: sub, source: src/sub, files: [{name: b.txt, source: src/sub/b.txt}]}]}
- {name: curl, source: curl, tag: ospkg}
- {name: setup, source: setup.sh, tag: bootscript, bootType: firstboot, bootOrder: '1'}
"""
TEMPLATE = """\
stack:
  name: web
  version: '{version}'
  os: {{name: Debian, version: '{system}', arch: x86_64}}
  bundles:
  - name: my tools
    version: '1.0'
    files:
    - {{name: run.sh, source: {source}}}
"""
Listed = Callable[[], list[dict[str, Any]]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("bundle")
    (made / "src/sub").mkdir(parents=True)
    for name in ("license.txt", "logo.png", "run.sh", "setup.sh", "src/sub/b.txt", "other.sh"):
        (made / name).write_text(f"contents of {name}\n")
    # The client looks for relative sources from where it is run.
    (made / "bundle.yml").write_text(re.sub(r"(source|sourceLogo): (?=[a-z])(?!curl)", rf"\1: {made}/", BUNDLE))
    return made


@pytest.fixture
def bundles(service: Service) -> Listed:
    """What the service says, as JSON."""

    def listed() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = service.http.get(f"{BASE}/mysoftware").json()["mySoftwareList"]["mySoftware"]
        return found

    return listed


def disk(service: Service, kind: str = "bundles") -> dict[str, dict[str, str]]:
    """Number -> path -> contents, of all that the service keeps."""
    found = {}
    for place in (service.data / kind).iterdir():
        files = place / "files"
        found[place.name] = {str(path.relative_to(files)): path.read_text() for path in files.rglob("*") if path.is_file()}
    return found


def template(folder: Path, version: str, source: str, system: str = "12") -> str:
    file = folder / f"template-{version}.yml"
    file.write_text(TEMPLATE.format(version=version, source=folder / source, system=system))
    return str(file)


def test_validate_tells_a_good_file_from_a_wrong_one(hammr: Hammr, service: Service, folder: Path) -> None:
    assert "is ok" in hammr("bundle", "validate", "--file", str(folder / "bundle.yml")).text
    wrong = folder / "wrong.yml"
    wrong.write_text("name: a\nfiles: []\n")
    assert "version" in hammr("bundle", "validate", "--file", str(wrong), status=2).text
    assert disk(service) == {}


def test_an_empty_library_is_said_to_be_empty(hammr: Hammr, bundles: Listed) -> None:
    assert bundles() == []
    assert "no bundles available" in hammr("bundle", "list").text.lower()


def test_create_sends_every_file_and_keeps_the_archive(hammr: Hammr, service: Service, folder: Path, bundles: Listed) -> None:
    kept = folder / "kept.tar.gz"
    said = hammr("bundle", "create", "--file", str(folder / "bundle.yml"), "--archive-path", str(kept))
    (one,) = bundles()
    assert (one["uri"] in said.text, said.number("Bundle Id :")) == (True, one["dbId"])
    assert (one["name"], one["version"], one["imported"], one["category"]["name"]) == ("my tools", "1.0", False, "Databases")
    files = disk(service)[str(one["dbId"])]
    assert files["bundles/my_tools/1.0/run.sh"] == "contents of run.sh\n"
    assert files["bundles/my_tools/license.txt"] == "contents of license.txt\n"
    assert files["bundles/my_tools/logo.png"] == "contents of logo.png\n"
    assert "contents of src/sub/b.txt\n" in [text for path, text in files.items() if path.endswith("b.txt")]
    assert one["license"]["size"] == len("contents of license.txt\n")
    assert one["size"] == sum(map(len, files.values()))
    assert kept.stat().st_size > 100


def test_a_second_one_is_refused_and_nothing_changes(hammr: Hammr, service: Service, folder: Path, bundles: Listed) -> None:
    before, files = bundles(), disk(service)
    assert "already" in hammr("bundle", "create", "--file", str(folder / "bundle.yml")).text
    assert (bundles(), disk(service)) == (before, files)


def test_list_shows_it(hammr: Hammr, bundles: Listed) -> None:
    (one,) = bundles()
    (row,) = [row for row in hammr("bundle", "list").rows() if row[0] == str(one["dbId"])]
    assert row[1:5] == ["my tools", "1.0", "What everybody needs", "Databases"]


def test_categories_are_the_organisations(hammr: Hammr, service: Service) -> None:
    told = service.http.get("/api/orgs/1/categories?query=type=='PROJECT'").json()["categories"]["category"]
    assert {one["name"] for one in told} <= {cell for row in hammr("bundle", "categories").rows() for cell in row}


@pytest.mark.parametrize(("options", "name"), [((), "bundle.yml"), (("--outputFormat", "yaml"), "bundle.yml"), (("--outputFormat", "json"), "bundle.json")])
def test_an_export_is_saved_and_leaves_nothing_on_the_service(
    hammr: Hammr, service: Service, bundles: Listed, tmp_path: Path, options: tuple[str, ...], name: str
) -> None:
    (one,) = bundles()
    archive = tmp_path / "a.tar.gz"
    hammr("bundle", "export", "--id", str(one["dbId"]), "--file", str(archive), *options)
    with tarfile.open(archive) as tar:
        packed = {member.name: tar.extractfile(member).read().decode() for member in tar}  # type: ignore[union-attr]
    document = yaml.safe_load(packed.pop(name))
    assert packed == disk(service)[str(one["dbId"])]
    assert document["files"][0]["source"] in packed
    assert list((service.data / "exports").iterdir()) == []


def test_without_a_file_the_export_is_called_as_the_bundle(hammr: Hammr, bundles: Listed) -> None:
    (one,) = bundles()
    hammr("bundle", "export", "--id", str(one["dbId"]))
    with tarfile.open(hammr.home / "my tools.tar.gz") as tar:
        assert "bundle.yml" in tar.getnames()


def test_clone_shares_the_files(hammr: Hammr, service: Service, bundles: Listed) -> None:
    (one,) = bundles()
    assert "successfully" in hammr("bundle", "clone", "--id", str(one["dbId"]), "--name", "copy", "--version", "2.0", status=None).text
    clone = bundles()[-1]
    assert (clone["name"], clone["version"], clone["description"]) == ("copy", "2.0", "What everybody needs")
    assert disk(service)[str(clone["dbId"])]["bundles/copy/2.0/run.sh"] == "contents of run.sh\n"


def test_delete_asks_and_an_archive_brings_it_back(hammr: Hammr, service: Service, bundles: Listed, folder: Path) -> None:
    one, clone = bundles()
    hammr("bundle", "delete", "--id", str(clone["dbId"]), typed="no\n", status=None)
    assert len(bundles()) == 2
    for gone in (one, clone):
        hammr("bundle", "delete", "--id", str(gone["dbId"]), typed="yes\n", status=None)
    assert bundles() == []
    assert disk(service) == {}
    said = hammr("bundle", "import", "--file", str(folder / "kept.tar.gz"))
    (again,) = bundles()
    assert (again["imported"], again["uri"] in said.text) == (True, True)
    assert disk(service)[str(again["dbId"])]["bundles/my_tools/1.0/run.sh"] == "contents of run.sh\n"


@pytest.mark.parametrize("command", [("export",), ("delete",), ("clone", "--name", "x", "--version", "1")])
def test_one_that_is_not_there_is_told(hammr: Hammr, bundles: Listed, command: tuple[str, ...]) -> None:
    before = bundles()
    assert "there is no bundle 99" in hammr("bundle", command[0], "--id", "99", *command[1:], status=2).text
    assert bundles() == before


def test_what_is_no_bundle_is_told_with_the_reason_and_leaves_nothing(hammr: Hammr, service: Service, bundles: Listed, tmp_path: Path) -> None:
    before = bundles()
    (tmp_path / "a.tar.gz").write_bytes(b"none")
    assert "no archive" in hammr("bundle", "import", "--file", str(tmp_path / "a.tar.gz")).text
    assert bundles() == before
    assert list((service.data / "uploads").iterdir()) == []


def test_a_template_with_another_bundle_of_the_name_is_refused(hammr: Hammr, service: Service, folder: Path) -> None:
    said = hammr("template", "create", "--file", template(folder, "1", "other.sh"), status=2)
    assert "another one" in said.text
    assert service.http.get(f"{BASE}/appliances").json()["appliances"]["appliance"] == []
    assert disk(service, "templates") == {}


def test_with_rbundles_the_librarys_bundle_is_in_the_template(hammr: Hammr, service: Service, folder: Path, bundles: Listed) -> None:
    (before,) = bundles()
    hammr("template", "create", "--file", template(folder, "2", "other.sh"), "--rbundles")
    (made,) = service.http.get(f"{BASE}/appliances").json()["appliances"]["appliance"]
    files = disk(service, "templates")[str(made["dbId"])]
    assert files["bundles/my_tools/1.0/run.sh"] == "contents of run.sh\n"
    assert files["bundles/my_tools/license.txt"] == "contents of license.txt\n"
    assert "contents of other.sh\n" not in files.values()
    (after,) = bundles()
    assert after == {**before, "applianceUris": {"uri": [made["uri"]]}}


def test_with_force_the_librarys_bundle_is_replaced(hammr: Hammr, service: Service, folder: Path, bundles: Listed) -> None:
    (before,) = bundles()
    hammr("template", "create", "--file", template(folder, "3", "other.sh"), "--force")
    (after,) = bundles()
    assert after["dbId"] > before["dbId"]
    assert disk(service) == {str(after["dbId"]): {"bundles/my_tools/1.0/run.sh": "contents of other.sh\n"}}


def test_with_usemajor_a_point_release_is_taken_as_its_major_version(hammr: Hammr, service: Service, folder: Path) -> None:
    file = template(folder, "4", "other.sh", system="12.5")
    assert "12.5" in hammr("template", "create", "--file", file, status=2).text
    hammr("template", "create", "--file", file, "--usemajor")
    made = service.http.get(f"{BASE}/appliances").json()["appliances"]["appliance"][-1]
    assert (made["version"], made["distributionName"].strip()) == ("4", "Debian 12")
