"""The three ways into a container show the same system: its process, its layers when it is stopped, the engine's archive stream."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from scanner.compare import compare_files
from scanner.progress import Silent
from scanner.report import Container, Report
from scanner.scan import scan
from scanner.targets import docker as ways
from scanner.targets.contract import CHECKS
from scanner.targets.docker import DockerTarget

pytestmark = pytest.mark.docker

LIVE_IN = r"""
set -e
printf 'hello\n' > /etc/hello; chmod 0640 /etc/hello
printf tagged > /srv/tagged; setfattr -n user.note -v 0x00ff /srv/tagged; setfacl -m u:33:rw /srv/tagged
touch -d '2001-02-03 04:05:06.123456789 UTC' /srv/tagged
rm /usr/share/doc/bash/copyright
rm -r /usr/share/doc/dash; mkdir /usr/share/doc/dash
printf named > /data/inside; printf bound > /linked/inside
"""


def _docker(*words: str) -> str:
    return subprocess.run(["docker", *words], capture_output=True, check=True, text=True).stdout.strip()


@pytest.fixture(scope="module")
def bind(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bind")


@pytest.fixture(scope="module")
def stopped(image: str, bind: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Report, Report]]:
    """A stopped container, and its reports from the time when it ran, without and with its volumes."""
    name = f"forgelet-test-{uuid.uuid4().hex[:8]}"
    mounts = ["--volume", f"{name}:/data", "--volume", f"{bind}:/real/place:ro", "--volume", f"{bind}:/linked"]
    _docker("run", "--detach", "--name", name, "--hostname", "still", "--label", "forgelet.test=1", "--network", "none", "--restart", "on-failure:3", *mounts, image, "sleep", "infinity")
    try:
        _docker("exec", name, "sh", "-c", LIVE_IN)
        reports = [scan(DockerTarget(name, volumes=volumes), tmp_path_factory.mktemp("ran"), Silent()) for volumes in (False, True)]
        _docker("stop", "--time", "0", name)
        yield name, reports[0], reports[1]
    finally:
        _docker("rm", "--force", "--volumes", name)
        _docker("volume", "rm", "--force", name)


def mounts_below(folder: Path) -> list[str]:
    return [line for line in Path("/proc/mounts").read_text().splitlines() if f" {folder}/" in line]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_stopped_container_keeps_the_contract(check, stopped, tmp_path: Path) -> None:
    check(DockerTarget(stopped[0], work=tmp_path / "work"), tmp_path)


def test_stopped_is_what_ran_to_the_last_attribute(stopped, tmp_path: Path) -> None:
    name, ran, ran_with_volumes = stopped
    for volumes, before in ((False, ran), (True, ran_with_volumes)):
        after = scan(DockerTarget(name, work=tmp_path / "work", volumes=volumes), tmp_path / f"out{volumes}", Silent())
        # What the kernel mounts (/proc, /sys, /dev) is pruned in both, and has the metadata of the folder below now.
        assert [one.path for one in compare_files(before, after) if one.left is None or one.left.state != "excluded"] == []
        assert after.head.digest == before.head.digest
        assert after.head.blind_spots == []
        assert after.head.system.hostname == "still"
    assert mounts_below(tmp_path) == []
    assert list((tmp_path / "work").iterdir()) == []


def test_volumes_are_walked_only_when_they_are_asked_for(stopped) -> None:
    _, without, with_volumes = stopped
    rows = {entry.path: entry for entry in with_volumes.files()}
    assert [rows[f"{place}/inside"].state for place in ("/data", "/linked", "/real/place")] == ["unmanaged"] * 3
    left_out = {entry.path: entry.reason for entry in without.files()}
    assert [left_out[place] for place in ("/data", "/linked", "/real/place")] == ["mount"] * 3
    assert "/data/inside" not in left_out


def test_what_is_mounted_is_told_with_its_kind_and_source(stopped, bind: Path) -> None:
    name, report, _ = stopped
    facts = report.head.system.container
    assert isinstance(facts, Container)
    told = {one.target: (one.type, one.name, one.source, one.read_only) for one in facts.mounts}
    source = _docker("volume", "inspect", "--format", "{{.Mountpoint}}", name)
    assert told == {"/data": ("volume", name, source, False), "/linked": ("bind", "", str(bind), False), "/real/place": ("bind", "", str(bind), True)}
    assert facts.restart == "on-failure:3"


def test_the_archive_stream_brings_the_same_but_what_it_names(stopped, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name, _, ran = stopped
    # As from an engine on another machine: neither its processes nor its layers are here.
    monkeypatch.setattr(ways.layers, "here", lambda found: False)
    report = scan(DockerTarget(name, work=tmp_path / "work", volumes=True), tmp_path / "out", Silent())
    assert [(spot.path, "no ACLs" in spot.reason) for spot in report.head.blind_spots] == [("/", True)]
    fields = ("type", "mode", "uid", "gid", "size", "sha256", "target", "hardlink", "device", "state", "reason")
    found = [one for one in compare_files(ran, report, fields=fields) if not (one.left and one.left.state == "excluded")]
    assert [(one.path, one.fields) for one in found] == []
    assert report.head.system.hostname == "still"
    assert list((tmp_path / "work").iterdir()) == []


def test_the_volumes_of_a_container_that_never_ran_are_a_blind_spot_when_they_are_asked_for(image: str, tmp_path: Path) -> None:
    name = f"forgelet-test-{uuid.uuid4().hex[:8]}"
    _docker("create", "--name", name, "--label", "forgelet.test=1", "--volume", "/new/place", image, "true")
    try:
        spots = [scan(DockerTarget(name, volumes=volumes), tmp_path / f"{volumes}", Silent(), excludes=["/usr", "/var"]).head.blind_spots for volumes in (False, True)]
        assert [[(spot.path, "never run" in spot.reason) for spot in each] for each in spots] == [[], [("/new/place", True)]]
    finally:
        _docker("rm", "--force", "--volumes", name)


def test_a_link_in_the_container_leads_no_mount_to_this_machine(image: str, tmp_path: Path) -> None:
    away = tmp_path / "away"
    away.mkdir()
    name = f"forgelet-test-{uuid.uuid4().hex[:8]}"
    _docker("run", "--detach", "--name", name, "--label", "forgelet.test=1", "--network", "none", "--volume", "/srv/deep/volume", image, "sleep", "infinity")
    try:
        _docker("exec", name, "sh", "-c", "touch /srv/deep/volume/mine")
        _docker("stop", "--time", "0", name)
        upper = Path(_docker("inspect", "--format", "{{.GraphDriver.Data.UpperDir}}", name))
        (upper / "srv/deep").rename(upper / "srv/was")
        (upper / "srv/deep").symlink_to(away)
        (away / "volume").mkdir()
        report = scan(DockerTarget(name, work=tmp_path / "work", volumes=True), tmp_path / "out", Silent())
        paths = {entry.path for entry in report.files()}
        assert list((away / "volume").iterdir()) == []
        assert "/srv/deep/volume" not in paths
        assert not any(f" {away}" in line for line in Path("/proc/mounts").read_text().splitlines())
    finally:
        _docker("rm", "--force", "--volumes", name)
