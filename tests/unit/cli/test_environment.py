"""`forgelet env`, `forgelet status`, shell completion."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from emulator import local

HEALTH = {"ready": True, "version": "0.1.0", "capabilities": {"docker": {"ok": True}, "dib": {"ok": False, "reason": "no sfdisk"}}}
THERE = {"name": "there", "keystoneUrl": "http://127.0.0.1:5000", "login": "me", "keystoneProject": "demo", "keystoneDomain": "Default"}


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "docker_host", lambda: "unix:///run/docker.sock")
    for name in [name for name in os.environ if name.startswith("FORGELET_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("FORGELET_URL", "http://service/api")


def test_a_shell_takes_what_is_printed(forgelet: Any, fake: Any) -> None:
    fake.mine("GET", "accounts", {"credAccounts": {"credAccount": [{"name": "local"}, THERE]}})
    done = forgelet("env")
    assert done.code == 0
    shell = subprocess.run(["sh", "-c", f"{done.out}\nprintf '%s|' \"$FORGELET_URL\" \"$HAMMR_OPTIONS\" \"$OS_AUTH_URL\" \"$OS_PROJECT_NAME\" \"$DOCKER_HOST\""], capture_output=True, text=True, check=True)
    assert shell.stdout == "http://service/api|-a http://service/api -u root -p forgelet|http://127.0.0.1:5000|demo|unix:///run/docker.sock|"
    assert json.loads(forgelet("env", "docker", "-o", "json").out) == {"DOCKER_HOST": "unix:///run/docker.sock"}


def test_keys_take_the_password_s_place_for_every_tool(forgelet: Any, fake: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORGELET_PUBLICKEY", "pub")
    monkeypatch.setenv("FORGELET_SECRETKEY", "sec")
    told = json.loads(forgelet("env", "hammr", "-o", "json").out) | json.loads(forgelet("env", "forgelet", "-o", "json").out)
    assert told == {
        "HAMMR_OPTIONS": "-a http://service/api -u root -k pub -s sec",
        "FORGELET_URL": "http://service/api",
        "FORGELET_USER": "root",
        "FORGELET_PUBLICKEY": "pub",
        "FORGELET_SECRETKEY": "sec",
    }


def test_what_a_secured_service_wants_is_told_too(forgelet: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"TOKEN": "open", "CA": "/ca.pem", "INSECURE": "true"}.items():
        monkeypatch.setenv(f"FORGELET_{name}", value)
    told = json.loads(forgelet("env", "forgelet", "-o", "json").out)
    assert (told["FORGELET_TOKEN"], told["FORGELET_CA"], told["FORGELET_INSECURE"]) == ("open", "/ca.pem", "1")


def test_which_openstack_is_asked_when_there_are_none_or_several(forgelet: Any, fake: Any) -> None:
    fake.mine("GET", "accounts", {"credAccounts": {"credAccount": [THERE, {**THERE, "name": "other"}]}})
    assert "OS_AUTH_URL" not in forgelet("env").out
    asked = forgelet("env", "openstack")
    assert (asked.code, "there, other" in asked.err) == (1, True)
    assert "OS_AUTH_URL" in forgelet("env", "openstack", "--account", "other").out
    assert forgelet("env", "emacs").code == 1


@pytest.mark.parametrize(("ready", "code"), [(True, 0), (False, 3)])
def test_the_status_says_whether_it_is_ready_and_what_runs(forgelet: Any, fake: Any, ready: bool, code: int) -> None:
    fake.answers["GET /_forgelet/health"] = {**HEALTH, "ready": ready, "seed": {"name": "shop", "state": "failed", "step": "scan web", "error": "gone"}}
    job = {"dbId": 7, "kind": "build", "state": "running", "stage": "build.base", "percentage": 12}
    fake.answers["GET /_forgelet/jobs"] = {"jobs": {"job": [job, {**job, "state": "failed"}]}}
    done = forgelet("status")
    assert done.code == code
    for words in ("Forgelet 0.1.0 at http://service/api, asked by root", "seed 'shop': failed scan web gone", "no: no sfdisk", "job 7 (build): build.base, 12 %", "2 jobs, 1 failed"):
        assert words in done.out
    assert json.loads(forgelet("status", "-o", "json").out)["jobs"] == {"unfinished": 1, "failed": 1, "all": 2}


def test_shells_complete_nouns_and_verbs() -> None:
    environment = {**os.environ, "_FORGELET_COMPLETE": "complete_bash", "COMP_WORDS": "forgelet snap", "COMP_CWORD": "1"}
    code = "import sys; sys.argv[0] = 'forgelet'; from cli.main import main; main()"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.stdout.split() == ["snapshot"], done.stderr
