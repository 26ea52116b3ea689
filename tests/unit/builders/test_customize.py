"""What a template does to an image, and that it is written down which of its steps wrote which path."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from builders import origins, traces
from builders.customize import Job, apply
from builders.image import Addition, Image
from builders.lastpass import tree
from builders.origins import Origin, origin
from builders.steps import Steps
from scanner.explain import explain
from scanner.report import Package

from .conftest import WriteReport, entry, plan_of

DOCUMENT: dict[str, Any] = {
    "name": "a",
    "version": "1",
    "os": {"name": "Debian", "version": "12", "arch": "x86_64"},
    "installation": {"rootUser": {"disablePasswordLogin": True}, "timezone": "Asia/Tokyo", "welcomeMessage": "Welcome"},
    "bundles": [{"name": "tools", "version": "1.0", "destination": "/opt/tools", "files": [{"name": "run.sh", "source": "run.sh"}, {"name": "motd", "source": "run.sh", "destination": "/etc"}]}],
    "config": [{"name": "hello", "source": "run.sh"}],
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A base disk's tree with one package."""
    root = tmp_path / "root"
    for folder in ("etc", "opt", "var/lib/dpkg/info", "var/lib/apt", "var/log", "usr/bin", "boot"):
        (root / folder).mkdir(parents=True)
    (root / "usr/bin/app").write_text("app")
    (root / "boot/vmlinuz").write_text("kernel")
    (root / "etc/motd").write_text("the package's")
    (root / "var/lib/dpkg/info/app:amd64.list").write_text("/.\n/usr\n/usr/bin\n/usr/bin/app\n/etc/motd\n")
    (root / "var/lib/dpkg/status").write_text("Package: app\nStatus: install ok installed\nArchitecture: amd64\nVersion: 2\n\n")
    return root


@pytest.fixture
def image(root: Path, tmp_path: Path) -> Path:
    """The folder of an image of a template without a scan, as far as its records go."""
    template, image = tmp_path / "template", tmp_path / "image"
    for folder in (template / "files", image):
        folder.mkdir(parents=True)
    (template / "files/run.sh").write_text("#!/bin/sh\n")
    (tmp_path / "plan.json").write_text(plan_of(additions=()).model_dump_json())
    (tmp_path / "dpkg.log").write_text("installed\n")
    apply(Job(str(root), str(template), json.dumps(DOCUMENT), str(tmp_path / "plan.json"), str(tmp_path / "dpkg.log"), scratch=True, sources="deb x\n", image=str(image)))
    additions = [Addition(item="app", reason="the template asks for it")]
    Image(files=[], virtual_size=0, memory=0, packages=1, additions=additions, provenance={"template": "a", "packages": ["app amd64 2"]}).save(image)
    return image


@pytest.mark.parametrize(
    ("path", "by", "what"),
    [
        ("/etc/machine-id", "template", "what a machine needs to start"),
        ("/etc/apt/sources.list", "template", "what a machine needs to start"),
        ("/etc/ssh/sshd_config.d/60-forgelet-root.conf", "template", "its accounts"),
        ("/etc/localtime", "template", "its settings"),
        ("/opt/tools", "template", "its bundle tools 1.0"),
        ("/opt/tools/run.sh", "template", "its bundle tools 1.0"),
        ("/etc/motd", "template", "its bundle tools 1.0"),
        ("/etc/systemd/system/forgelet-first-boot.service", "template", "its boot scripts"),
        ("/usr/bin/app", "package", "app 2"),
        ("/boot/vmlinuz", "base", "diskimage-builder, with Forgelet's elements"),
        ("/opt", "base", "diskimage-builder, with Forgelet's elements"),
    ],
)
def test_what_wrote_a_path_of_a_template_without_a_scan_is_told(image: Path, path: str, by: str, what: str) -> None:
    found = origin(image, path, None, None)
    assert found is not None and (found.by, found.what) == (by, what)
    assert found.why


def test_a_package_of_a_template_tells_why_it_is_there(image: Path) -> None:
    assert origin(image, "/usr/bin/app", None, None) == Origin("package", "app 2", "the template asks for it")


def test_every_path_of_the_tree_has_an_origin_and_no_other_has(image: Path, root: Path) -> None:
    assert [path for path in tree(root) if origin(image, path, None, None) is None] == []
    assert origin(image, "/opt/tools/none", None, None) is None
    (image / origins.FILE).unlink()
    with pytest.raises(FileNotFoundError):
        origin(image, "/usr/bin/app", None, None)


def test_a_step_has_what_it_wrote_and_no_folder_for_what_lies_in_it(root: Path) -> None:
    (root / "etc/before").write_text("")
    steps = Steps(root)
    with steps.step("one"):
        (root / "etc/new").write_text("")
        (root / "etc/motd").chmod(0o600)
        (root / "boot").chmod(0o700)
    with steps.step("two"):
        (root / "etc/new").write_text("again")
        (root / "boot/odd\udcff").symlink_to("x")
    assert steps.rows == [("/boot", "one"), ("/etc/motd", "one"), ("/etc/new", "one"), ("/boot/odd\udcff", "two"), ("/etc/new", "two")]


def test_what_went_with_its_package_is_not_in_the_templates_image(write_report: WriteReport, tmp_path: Path) -> None:
    rows = [entry("/usr/bin/app", package="app"), entry("/etc/gone.conf", state="conffile-changed", package="gone"), entry("/usr/bin/gone", package="gone")]
    report = write_report(rows, packages=[Package(name=name, version="1", arch="amd64") for name in ("app", "gone")])
    Image(files=[], virtual_size=0, memory=0, packages=1, provenance={"template": "a", "packages": ["app amd64 2"]}).save(tmp_path)
    for file in (tmp_path / traces.PASS, tmp_path / origins.FILE):
        traces.write(file, [])
    found = {row.path: origin(tmp_path, row.path, report, explain(report, row.path)) for row in rows}
    assert found["/usr/bin/app"] is not None and found["/usr/bin/app"].what == "app 2"
    assert found["/etc/gone.conf"] is found["/usr/bin/gone"] is None
