"""`-o json` and `-o yaml` of commands that do something: nothing else is on standard output, and both say the same."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from emulator import local

BUNDLE = "name: tools\nversion: '1.0'\nlicense: {name: l, source: l.txt}\nfiles:\n- {name: run, source: l.txt}\n"
TEMPLATE = "stack:\n  name: web\n  version: '1'\n  os: {name: Debian, version: '12', arch: x86_64, profile: Minimal}\n"
MADE = {"dbId": 5, "name": "web", "version": "1"}
SCAN = {"dbId": 1, "uri": "users/root/scannedinstances/2/scans/1"}
ACCOUNT = {"dbId": 3, "name": "c", "targetPlatform": {"name": "OpenStack"}}
NUMBER = {"dbId": 3, "deleted": True}


@pytest.fixture
def service(fake: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A service in which everything that is asked for works."""
    monkeypatch.chdir(tmp_path)
    for name, text in {"bundle.yml": BUNDLE, "template.yml": TEMPLATE, "l.txt": "l", "account.yml": "accounts: [{type: OpenStack, name: c}]", "some.tar.zst": "x", "batch.txt": "clock real\njob cancel 9 -o yaml\n"}.items():
        Path(name).write_text(text)
    tarfile.open("archive.tar.gz", "w:gz").close()
    monkeypatch.setattr(local, "clean", lambda keep_cache: ["container web"])
    monkeypatch.setattr(local, "lab_down", lambda name, image: None)
    monkeypatch.setattr(local, "lesson_hint", lambda name: "1/2: look")
    monkeypatch.setattr(local, "lessons", list)
    fake.answers |= {
        "POST /_forgelet/secrets/rotation": {"resealed": 2},
        "DELETE /_forgelet/clock": "",
        "GET /_forgelet/clock": {"set": False, "now": "n", "real": "n", "rate": 1},
        "GET /_forgelet/ids": {"seed": None, "drawn": 0},
        "DELETE /_forgelet/faults/3": "",
        "DELETE /_forgelet/journal": "",
        "GET /_forgelet/journal/har": {"log": {"entries": [{}]}},
        "DELETE /_forgelet/jobs/9": {"dbId": 9, "state": "cancelled"},
        "GET /_forgelet/jobs/9/log": "one\ntwo\n",
        "DELETE /_forgelet/seeds/shop": "",
        "DELETE /_forgelet/snapshots/s": "",
        "GET /_forgelet/snapshots/s/archive": "archive",
        "POST /_forgelet/snapshots": {"name": "s"},
        "POST /_forgelet/users": {"loginName": "alice"},
        "DELETE /_forgelet/users/alice": "",
        "DELETE /_forgelet/users/alice/keys/3": "",
        "PUT /_forgelet/users/alice/password": "",
        "PUT /_forgelet/users/alice/quotas": "",
    }
    for method, path, body in (
        ("POST", "accounts", ACCOUNT),
        ("DELETE", "accounts/3", ""),
        ("DELETE", "deployments/abc", ""),
        ("DELETE", "migrations/3", ""),
        ("POST", "migrations/3/stop", ""),
        ("DELETE", "images/3", ""),
        ("DELETE", "images/3/status", ""),
        ("GET", "images/3/download", "disk"),
        ("GET", "images/3/evidence", "archive"),
        ("DELETE", "scannedinstances/2/scans/1", ""),
        ("GET", "scannedinstances", {"scannedInstances": {"scannedInstance": [{"scans": {"scan": [SCAN]}}]}}),
        ("POST", "scannedinstances/2/scans/1/imports", {"jobId": 8}),
        ("GET", "appliances", {"appliances": {"appliance": [MADE]}}),
    ):
        fake.mine(method, path, body)
    for kind, imports, exports, clones in (("appliances", "imports", "exports", "clones"), ("mysoftware", "bundleimports", "exports", "clone")):
        fake.mine("POST", imports, {"dbId": 4})
        fake.mine("GET", f"{imports}/4", {"jobId": 8, "referenceUri": f"users/root/{kind}/5"})
        fake.mine("POST", f"{imports}/4/uploads", "")
        fake.mine("GET", f"{kind}/5", MADE)
        fake.mine("DELETE", f"{kind}/5", "")
        fake.mine("POST", f"{kind}/5/{clones}", MADE)
        fake.mine("POST", f"{kind}/5/{exports}", {"dbId": 6, "jobId": 8})
        fake.mine("GET", f"{kind}/5/{exports}/6/downloads", "archive")
        fake.mine("DELETE", f"{kind}/5/{exports}/6", "")
    fake.job(8, "running", "done")
    return fake


@pytest.mark.parametrize("form", ["json", "yaml"])
@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("account create --file account.yml", {"credAccounts": {"credAccount": [ACCOUNT]}}),
        ("account delete --id 3", NUMBER),
        ("account rotate-key", {"resealed": 2}),
        ("deploy terminate abc", {"applicationId": "abc", "deleted": True}),
        ("migration delete 3", NUMBER),
        ("migration stop 3", {"dbId": 3, "stopped": True}),
        ("batch --file batch.txt", {"commands": [{"command": "clock real", "exitCode": 0, "output": "OK: the machine's time\n"}, {"command": "job cancel 9 -o yaml", "exitCode": 0, "output": "dbId: 9\nstate: cancelled\n"}]}),
        ("bundle validate --file bundle.yml", {"file": "bundle.yml", "valid": True, "found": ["bundle 'tools' 1.0: 1 files named"]}),
        ("bundle create --file bundle.yml", MADE),
        ("bundle create --file archive.tar.gz", MADE),
        ("bundle import --file archive.tar.gz", MADE),
        ("bundle export --id 5", {"file": "web.tar.gz", "size": 7}),
        ("bundle clone --id 5 --name a --version 2", MADE),
        ("bundle delete --id 5 --no-confirm", {"dbId": 5, "deleted": True}),
        ("clean", {"removed": ["container web"]}),
        ("clock real", {"set": False, "now": "n", "real": "n", "rate": 1}),
        ("clock ids", {"seed": None, "drawn": 0}),
        ("fault delete 3", NUMBER),
        ("image delete --id 3", NUMBER),
        ("image cancel --id 3", {"dbId": 3, "cancelled": True}),
        ("image download --id 3 --file disk", {"file": "disk", "size": 4}),
        ("image evidence --id 3 --file e.tar.gz", {"file": "e.tar.gz", "size": 7, "sha256": "0eb3e36bfb24dcd9bb1d1bece1531216b59539a8fde17ee80224af0653c92aa3"}),
        ("job cancel 9", {"dbId": 9, "state": "cancelled"}),
        ("job log 9", {"dbId": 9, "lines": ["one", "two"]}),
        ("journal clear", {"deleted": True}),
        ("journal export --har a.har", {"file": "a.har", "requests": 1}),
        ("journal export --har -", {"log": {"entries": [{}]}}),
        ("lab down web", {"name": "web", "status": "down"}),
        ("lab hint drift", {"lesson": "drift", "hint": "1/2: look"}),
        ("scan delete --id 1", {"dbId": 1, "scantype": "scan", "deleted": True}),
        ("scan import --id 1 --name web --version 1", MADE),
        ("seed delete shop", {"name": "shop", "deleted": True}),
        ("snapshot delete s", {"name": "s", "deleted": True}),
        ("snapshot export s", {"name": "s", "file": "s.tar.zst", "size": 7}),
        ("snapshot import some.tar.zst", {"name": "s"}),
        ("template create --file template.yml", MADE),
        ("template import --file archive.tar.gz", MADE),
        ("template export --id 5", {"file": "archive.tar.gz", "size": 7}),
        ("template clone --id 5 --name a --version 2", MADE),
        ("template delete --id 5 --no-confirm", {"dbId": 5, "deleted": True}),
        ("user create alice", {"loginName": "alice"}),
        ("user delete alice", {"loginName": "alice", "deleted": True}),
        ("user password alice", {"loginName": "alice", "changed": True}),
        ("user key alice --delete 3", NUMBER),
        ("user quota alice --type scan --limit 4", {"loginName": "alice", "type": "scan", "limit": 4}),
    ],
)
def test_only_the_data_is_on_standard_output(service: Any, forgelet: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, line: str, told: Any, form: str) -> None:
    monkeypatch.setattr("cli.commands.user._password", lambda login: "secret")
    done = forgelet(*line.split(), "-o", form)
    assert done.code == 0, done.err
    assert (json.loads if form == "json" else yaml.safe_load)(done.out) == told


def test_a_template_file_that_is_right_says_what_is_in_it(service: Any, forgelet: Callable[..., Any]) -> None:
    found = json.loads(forgelet("template", "validate", "--file", "template.yml", "-o", "json").out)
    assert found["valid"] is True and "web" in found["found"][0]


def test_how_hammr_finds_the_service_is_data_without_a_password(forgelet: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FORGELET_URL", "http://service/api")
    file = tmp_path / "credentials.yml"
    asked = ("hammr", "--to", str(file), "-o", "json")
    told = json.loads(forgelet(*asked).out)
    assert told == {"url": "http://service/api", "user": "root", "credentials": str(file), "written": False}
    assert json.loads(forgelet(*asked, "--write").out) == {**told, "written": True}
    assert file.is_file()


def test_a_question_does_not_stand_in_the_data(service: Any, forgelet: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    monkeypatch.setattr("cli.archives.typer.confirm", lambda question, default, err: asked.append(err) or True)
    assert json.loads(forgelet("template", "delete", "--id", "5", "-o", "json").out) == {"dbId": 5, "deleted": True}
    assert asked == [True]


def test_yaml_is_the_choice_of_one_command_only(service: Any, forgelet: Callable[..., Any]) -> None:
    Path("many.txt").write_text("clock ids -o yaml\njournal export --har -\n")
    first, second = json.loads(forgelet("batch", "--file", "many.txt", "-o", "json").out)["commands"]
    assert first["output"] == "seed: null\ndrawn: 0\n"
    assert json.loads(second["output"]) == {"log": {"entries": [{}]}}
    told = forgelet("batch", "--file", "many.txt", "-o", "yaml").out
    assert json.loads(yaml.safe_load(told)["commands"][1]["output"]) == {"log": {"entries": [{}]}}


def test_entries_that_are_followed_come_one_by_one_in_either_form(fake: Any, forgelet: Callable[..., Any]) -> None:
    entries = [{"id": number, "kind": "request", "user": "root", "path": "/\x7f\U0001f600"} for number in (1, 2)]
    fake.answers["GET /_forgelet/journal/events"] = "".join(f"data: {json.dumps(one)}\n\n" for one in entries)
    assert [json.loads(line) for line in forgelet("journal", "follow", "-o", "json").out.splitlines()] == entries
    assert yaml.safe_load(forgelet("journal", "follow", "-o", "yaml").out) == entries
