"""`forgelet image`, `job`, `user`, `reset`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

FIDELITY = {
    "jobId": 9,
    "scopes": {"packages": {"equal": 200, "explained": 4, "unexplained": 0}, "files": {"equal": 9000, "explained": 60, "unexplained": 1}},
    "differences": [
        {"scope": "files", "item": "/srv/odd", "what": "mode, uid", "source": "0640 1000", "copy": "0644 0", "rule": None},
        {"scope": "files", "item": "/etc/machine-id", "what": "sha256", "source": "", "copy": "", "rule": "machine-id"},
    ],
    "excuses": [{"rule": "machine-id", "reason": "made anew at first boot", "count": 60}],
    "runtime": {"kernel": "6.1.0", "failed units": []},
    "probes": [
        {"probe": "http://:80/", "status": 200, "sha256": "ab", "size": 10, "source_status": 200, "source_size": 10, "source_sha256": "ab", "error": "", "equal": True},
        {"probe": "cmd:id", "status": 1, "sha256": "ab", "size": 10, "source_status": 0, "source_size": 11, "source_sha256": "cd", "error": "", "equal": False},
        {"probe": "tcp://:22", "status": 0, "sha256": "", "size": 0, "source_status": 1, "source_size": 0, "source_sha256": "", "error": "the copy: refused", "equal": False},
    ],
    "witnesses": [{"name": "qemu-img check image.qcow2", "status": 0, "said": "no errors\n1/2 allocated", "verdict": "agrees"}],
    "stages": {"boot": 61.25},
}


def _verifying(fake: Any, exit_code: int) -> None:
    fake.mine("POST", "images/3/verifications", (201, {"dbId": 9}))
    fake.mine("GET", "images/3/verifications/last", FIDELITY)
    fake.job(9, "running", "done", exitCode=exit_code)


def test_a_proof_shows_sums_differences_excuses_and_times(fake: Any, forgelet: Any) -> None:
    _verifying(fake, 4)
    result = forgelet("image", "verify", "--id", "3", "--probe", "http://:80/", "--source", "docker:web")
    assert fake.asked[0][1] == {"probes": ["http://:80/"], "source": "docker:web", "strict": False}
    assert result.code == 4
    assert "- files: /srv/odd: mode, uid (source: 0640 1000; copy: 0644 0)" in result.out
    assert "/etc/machine-id" not in result.out
    assert "60  machine-id: made anew at first boot" in result.out
    assert "http://:80/: equal: 200, 10 bytes, sha256 ab" in result.out and "boot 61.2 s" in result.out
    assert "cmd:id: DIFFERENT: source 0, 11 bytes, sha256 cd; copy 1, 10 bytes, sha256 ab" in result.out
    assert "tcp://:22: DIFFERENT: the copy: refused" in result.out
    assert "qemu-img check image.qcow2: agrees: no errors (and 1 lines)" in result.out


def test_a_faithful_copy_is_exit_code_0(fake: Any, forgelet: Any) -> None:
    _verifying(fake, 0)
    assert forgelet("image", "verify", "--id", "3").code == 0


def test_a_strict_proof_of_a_host_takes_its_login_along(fake: Any, forgelet: Any, tmp_path: Path) -> None:
    _verifying(fake, 4)
    (tmp_path / "key").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    words = ("--strict", "--source", "ssh:me@host:22", "--identity-file", str(tmp_path / "key"))
    assert forgelet("image", "verify", "--id", "3", *words).code == 4
    assert fake.asked[0][1]["strict"] is True
    assert fake.asked[0][1]["access"] == {"identity": "-----BEGIN OPENSSH PRIVATE KEY-----\n"}


def test_a_proof_as_a_page_is_the_services(fake: Any, forgelet: Any) -> None:
    _verifying(fake, 4)
    fake.mine("GET", "images/3/verifications/last/page", "<!doctype html>")
    result = forgelet("image", "verify", "--id", "3", "-o", "html")
    assert (result.code, result.out) == (4, "<!doctype html>")


def test_a_proof_as_json_is_the_whole_report(fake: Any, forgelet: Any) -> None:
    _verifying(fake, 4)
    result = forgelet("image", "verify", "--id", "3", "-o", "json")
    assert (result.code, json.loads(result.out)) == (4, FIDELITY)


def test_a_proof_as_yaml_is_the_whole_report_too(fake: Any, forgelet: Any) -> None:
    _verifying(fake, 0)
    assert yaml.safe_load(forgelet("image", "verify", "--id", "3", "-o", "yaml").out) == FIDELITY


def test_an_image_is_shown_with_its_additions_by_reason_and_the_line_that_boots_it(fake: Any, forgelet: Any) -> None:
    image = {
        "dbId": 3,
        "name": "scan-test",
        "targetFormat": {"name": "openstack"},
        "status": {"complete": True, "error": False, "cancelled": False, "percentage": 100},
        "installProfile": {"diskSize": 2000, "memorySize": 1024},
        "jobId": 5,
        "folder": "/my data/images/3",
        "files": [{"format": "qcow2", "name": "image.qcow2", "size": 1024, "sha256": "ab"}],
        "packages": 228,
        "baseFromCache": True,
        "additions": [{"item": "udev", "reason": "needed"}, {"item": "grub-pc", "reason": "boots"}, {"item": "dbus", "reason": "needed"}],
        "notBrought": {},
        "stages": {"base": 12.0},
        "bootCommand": "qemu-system-x86_64 -m 1024",
    }
    fake.mine("GET", "images/3", image)
    lines = forgelet("image", "show", "--id", "3").out.splitlines()
    assert "  added: udev, dbus (needed)" in lines and "  added: grub-pc (boots)" in lines
    assert "  boot it: qemu-system-x86_64 -m 1024" in lines


def test_a_disk_is_there_only_when_it_is_whole(fake: Any, forgelet: Any, tmp_path: Path) -> None:
    fake.mine("GET", "images/3/download", "disk")
    file = tmp_path / "disk.qcow2"
    assert forgelet("image", "download", "--id", "3", "--file", str(file), "--format", "qcow2").code == 0
    assert fake.asked[-1][1] == {"format": "qcow2"}
    assert file.read_text() == "disk" and list(tmp_path.iterdir()) == [file]


def test_a_refused_download_leaves_no_file(fake: Any, forgelet: Any, tmp_path: Path) -> None:
    fake.mine("GET", "images/3/download", (404, fake.error("no raw disk", 1)))
    assert forgelet("image", "download", "--id", "3", "--file", str(tmp_path / "d")).code == 1
    assert list(tmp_path.iterdir()) == []


def test_the_waterfall_has_a_line_a_stage_on_one_scale(fake: Any, forgelet: Any) -> None:
    stages = [{"name": "build.base", "start": 0.0, "seconds": 30.0}, {"name": "build.last-pass", "start": 30.0, "seconds": 10.0}]
    fake.job(5, "done", created="c", started="s", ended="e", subjectUri="u", stages=stages)
    lines = forgelet("job", "show", "5").out.splitlines()
    base, last = (next(line for line in lines if line.startswith(name)) for name in ("build.base", "build.last-pass"))
    assert base.count("#") == 30 and last.count("#") == 10
    assert last.index("#") - base.index("#") == 30


def test_a_log_is_printed_as_it_is(fake: Any, forgelet: Any) -> None:
    fake.answers["GET /_forgelet/jobs/5/log"] = "one\ntwo\n"
    assert forgelet("job", "log", "-f", "5").out == "one\ntwo\n"
    assert fake.asked[-1][1] == {"follow": "true"}


def test_a_job_is_named_once_either_way(fake: Any, forgelet: Any) -> None:
    fake.job(5, "done", created="c", started="s", ended="e", subjectUri="u", stages=[])
    assert forgelet("job", "show", "--id", "5").out == forgelet("job", "show", "5").out
    assert "which job?" in forgelet("job", "show", "5", "--id", "6").err


def test_reset_says_whether_the_cache_goes_too(fake: Any, forgelet: Any) -> None:
    fake.answers["POST /_forgelet/reset"] = {"removed": {"scan": 3, "cloud_account": 1}}
    done = forgelet("reset", "--cache")
    assert done.code == 0 and "     3 scan" in done.out and "     1 cloud account" in done.out
    assert fake.asked[-1][1] == {"cache": "true"}


def test_reset_of_one_user(fake: Any, forgelet: Any) -> None:
    fake.answers["POST /_forgelet/reset"] = {"removed": {}}
    assert "alice has nothing left" in forgelet("reset", "--of", "alice").out
    assert fake.asked[-1][1] == {"cache": "false", "user": "alice"}


def test_cancel_tells_what_had_already_ended(fake: Any, forgelet: Any) -> None:
    fake.answers["DELETE /_forgelet/jobs/5"] = (202, {"state": "done"})
    assert "already ended" in forgelet("job", "cancel", "5").out


def test_the_user_is_shown(fake: Any, forgelet: Any) -> None:
    fake.answers["GET /api/users/root"] = {"loginName": "root", "active": True, "admin": True, "created": "now"}
    assert "| root  |" in forgelet("user", "show").out
