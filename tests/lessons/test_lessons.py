"""Every lesson of the lab on the real engines: its check asks for what was not done yet, and is content when a learner did it as the guide says."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import yaml
from support.bench import Bench

from .conftest import Learner

pytestmark = [pytest.mark.e2e, pytest.mark.docker, pytest.mark.libvirt, pytest.mark.dib]
Lesson = Callable[[str], AbstractContextManager[Learner]]


def test_the_first_migration(lesson: Lesson) -> None:
    with lesson("first-migration") as learner:
        assert len(learner.missing()) == 4
        scan = learner.scan("lesson-web", "--overlay")
        learner.cli("scan", "rehearse", "--id", str(scan), "--file", str(learner.web))
        image = learner.build(scan)
        assert len(learner.missing()) == 2
        learner.cli("image", "verify", "--id", str(image), "--probe", "http://:80/")
        assert learner.missing() == []


def test_the_database(lesson: Lesson, bench: Bench) -> None:
    with lesson("database") as learner:
        scan = learner.scan("lesson-office")
        assert len(learner.missing()) == 3, "a scan without contents has no orders"
        scan = learner.scan("lesson-office", "--overlay")
        learner.build(scan)
        assert learner.missing() == []
        told = bench.json("scan", "explain", "--id", str(scan), "/srv/office/orders.db")
        assert told["state"] == "unmanaged"


def test_the_template_that_is_edited(lesson: Lesson, tmp_path: Path, bench: Bench) -> None:
    with lesson("edit-template") as learner:
        scan = learner.scan("lesson-web", "--overlay")
        learner.cli("scan", "import", "--id", str(scan), "--name", "web", "--version", "1.0")
        template = bench.json("template", "list")["appliances"]["appliance"][-1]
        assert len(learner.missing()) == 3
        learner.cli("template", "export", "--id", str(template["dbId"]), "--file", str(tmp_path / "web.tar.gz"))
        with tarfile.open(tmp_path / "web.tar.gz") as tar:
            tar.extractall(tmp_path / "web", filter="data")
        file = tmp_path / "web/template.yml"
        document = yaml.safe_load(file.read_text())
        document["stack"]["version"] = "1.1"
        document["stack"]["installation"] = {"timezone": "Pacific/Auckland", "welcomeMessage": learner.word}
        document["builders"] = yaml.safe_load(learner.web.read_text())["builders"]
        file.write_text(yaml.safe_dump(document))
        learner.cli("template", "create", "--file", str(file))
        assert len(learner.missing()) == 1
        learner.cli("template", "build", "--file", str(file))
        assert learner.missing() == []


def test_the_migration_that_is_blocked(lesson: Lesson, tmp_path: Path) -> None:
    with lesson("blocked") as learner:
        scan = learner.scan("lesson-web", "--overlay")
        (tmp_path / "small.yml").write_text(learner.web.read_text().replace("3000", "500"))
        said = json.loads(learner.cli("scan", "rehearse", "--id", str(scan), "--file", str(tmp_path / "small.yml"), "-o", "json", code=1))
        least = str(said["rehearsals"]["rehearsal"][0]["disk"]["least"])
        learner.build(scan)
        assert len(learner.missing("500")) == 1
        assert learner.missing(least) == []


def test_the_drift(lesson: Lesson, bench: Bench) -> None:
    with lesson("drift") as learner:
        scans = [str(learner.scan(name)) for name in ("lesson-web", "lesson-web-2")]
        told = bench.json("scan", "compare", "--id", scans[0], "--id", scans[1], code=4)
        # What two machines always differ in is not drift: their names, and folders whose time moved for what came or went in them.
        changed = [one["path"] for one in told["files"] if one["fields"] != ["mtime"] and one["path"] not in ("/etc/hostname", "/etc/hosts")]
        left = learner.missing(*changed)
        assert left == [], (left, told["files"])


def test_what_is_published_and_provisioned(lesson: Lesson, bench: Bench) -> None:
    with lesson("provision") as learner:
        image = str(learner.build(learner.scan("lesson-web", "--overlay")))
        learner.cli("image", "publish", "--id", image, "--file", str(learner.web), "--account", "local")
        [sent] = bench.json("image", "list")["publishImages"]["publishImage"]
        assert len(learner.missing()) == 1
        made = bench.json("deploy", "create", "--publish-id", str(sent["dbId"]), "--name", "copy", "--flavor", "f1.small", "--port", "80")
        assert learner.missing() == []
        bench.cli("deploy", "terminate", made["applicationId"])
