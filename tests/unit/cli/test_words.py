"""Words of a command line as hammr has them, and many commands in one process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cli.words import tidy


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (["scan", "list", "-u", "a", "-p", "b"], ["-u", "a", "-p", "b", "scan", "list"]),
        (["deploy", "ssh", "1", "ls", "-a", "--user", "x"], ["deploy", "ssh", "1", "ls", "-a", "--user", "x"]),
        (["-a", "u", "deploy", "ssh", "1"], ["-a", "u", "deploy", "ssh", "1"]),
        (["scan", "run", "--exclude", "/a", "/b", "-o"], ["scan", "run", "--exclude", "/a", "--exclude", "/b", "--overlay"]),
        (["scan", "run", "-o", "json", "-e", "/a"], ["scan", "run", "-o", "json", "--exclude", "/a"]),
        (["scan", "run", "-o", "--name", "n"], ["scan", "run", "--overlay", "--name", "n"]),
        (["scan", "import", "--name", "my", "own", "name", "--version", "1"], ["scan", "import", "--name", "my own name", "--version", "1"]),
        (["scan", "list", "-o", "json"], ["scan", "list", "-o", "json"]),
    ],
)
def test_hammr_s_ways_of_writing_are_understood(given: list[str], meant: list[str]) -> None:
    assert tidy(given) == meant


def test_a_batch_runs_all_of_its_lines_and_ends_with_the_first_failure(fake: Any, forgelet: Any, tmp_path: Path) -> None:
    fake.mine("DELETE", "images/3", (204, ""))
    (tmp_path / "b").write_text("# a comment\n\nimage delete --id 3\nimage delete --id 4\nnothing\nimage delete --id '3\nimage delete --id 3\n")
    ended = forgelet("batch", "--file", str(tmp_path / "b"))
    assert ended.code == 1
    assert [path for path, _ in fake.asked] == [f"DELETE /api/users/root/images/{number}" for number in (3, 4, 3)]
    assert ended.out.count("OK: deleted") == 2 and "is no command" in ended.err
    (tmp_path / "b").write_text("image delete --id 3\n")
    assert forgelet("batch", "--file", str(tmp_path / "b")).code == 0
    assert forgelet("batch", "--file", str(tmp_path / "none")).code == 1


def test_a_shell_takes_commands_until_it_is_left(fake: Any, forgelet: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fake.mine("DELETE", "images/3", (204, ""))
    lines = iter(["", "help image", "image delete --id 9", "image delete --id 3", "exit", "image delete --id 3"])
    monkeypatch.setattr("builtins.input", lambda _: next(lines))
    ended = forgelet("shell")
    assert ended.code == 0
    assert "Machine images." in ended.out and ended.out.count("OK: deleted") == 1
    assert next(lines) == "image delete --id 3"


def test_a_shell_ends_with_its_input(forgelet: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    said = iter([KeyboardInterrupt(), EOFError()])

    def typed(_: str) -> str:
        raise next(said)

    monkeypatch.setattr("builtins.input", typed)
    assert forgelet("shell").code == 0


PROVISIONER = "provisioner: {name: web-1, region: RegionOne, network: isolated, flavor: f1.tiny}\n"


def test_a_provisioner_file_is_deployed(fake: Any, forgelet: Any, tmp_path: Path) -> None:
    (tmp_path / "p.yml").write_text(PROVISIONER)
    one = {"applicationId": "ab", "name": "web-1", "state": "running", "jobId": 9, "account": "local", "cloudId": "c", "ports": {}, "fault": "", "instances": {"instance": [{"flavorId": "f", "hostname": "h"}]}}
    fake.mine("POST", "pimages/3/deployments", (201, one))
    fake.mine("GET", "deployments/ab", one)
    fake.job(9, "done")
    assert forgelet("image", "deploy", "--publish-id", "3", "--file", str(tmp_path / "p.yml")).code == 0
    assert fake.asked[0][1] == {"name": "web-1", "flavor": "f1.tiny", "network": "isolated"}


@pytest.mark.parametrize(
    ("text", "said"), [("a: [", "not YAML"), ("{}", "no `provisioner`"), ("provisioner: {name: a, size: b}", "provisioner.size: unknown key")]
)
def test_a_wrong_provisioner_file_starts_nothing(fake: Any, forgelet: Any, tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "p.yml").write_text(text)
    ended = forgelet("image", "deploy", "--publish-id", "3", "--file", str(tmp_path / "p.yml"))
    assert (ended.code, fake.asked) == (1, [])
    assert said in ended.err


@pytest.mark.parametrize("words", [("deploy", "terminate"), ("migration", "delete")])
def test_what_is_named_twice_or_not_at_all_is_not_touched(fake: Any, forgelet: Any, words: tuple[str, str]) -> None:
    fake.mine("DELETE", "deployments/7", (204, ""))
    fake.mine("DELETE", "migrations/7", (204, ""))
    assert forgelet(*words).code == 1
    assert forgelet(*words, "7", "--id", "7").code == 1
    assert fake.asked == []
    assert forgelet(*words, "--id", "7").code == forgelet(*words, "7").code == 0
    assert len(fake.asked) == 2


def test_the_scans_of_a_group_go_and_the_group_stays(fake: Any, forgelet: Any) -> None:
    fake.mine("DELETE", "scannedinstances/2/scans", (204, ""))
    assert forgelet("scan", "delete", "--id", "2", "--scansonly").code == 1
    assert fake.asked == []
    assert forgelet("scan", "delete", "--id", "2", "--scantype", "instance", "--scansonly").code == 0


STACK = "stack: {name: web, version: '1'}\nbuilders:\n- {type: openstack, installation: {diskSize: 2000}, hardwareSettings: {memory: 1024}, account: {name: local}}\n"


def test_without_an_id_the_newest_image_of_each_builder_is_published(fake: Any, forgelet: Any, tmp_path: Path) -> None:
    (tmp_path / "t.yml").write_text(STACK)
    state = {"complete": True}
    made = [{"dbId": n, "targetFormat": {"name": kind}, "status": {"complete": done}, "simulated": False} for n, kind, done in ((1, "openstack", True), (2, "openstack", True), (3, "openstack", False), (4, "QCOW2", True))]
    fake.mine("GET", "appliances", {"appliances": {"appliance": [{"dbId": 5}]}})
    fake.mine("GET", "appliances/5/images", {"images": {"image": made}})
    fake.mine("POST", "images/2/publications", (201, {"dbId": 6, "jobId": 9, "name": "web", "credAccount": {"name": "local"}}))
    fake.mine("GET", "pimages/6", {"dbId": 6, "cloudId": "c", "status": state})
    fake.job(9, "done")
    ended = forgelet("image", "publish", "--file", str(tmp_path / "t.yml"))
    assert (ended.code, "Publish ID: 6" in ended.out) == (0, True)
    made[:] = made[3:]
    fake.mine("GET", "appliances/5/images", {"images": {"image": made}})
    before = len(fake.asked)
    ended = forgelet("image", "publish", "--file", str(tmp_path / "t.yml"))
    assert ended.code == 1 and "no finished image of the type 'openstack'" in ended.err
    assert not any(path.startswith("POST") for path, _ in fake.asked[before:])
