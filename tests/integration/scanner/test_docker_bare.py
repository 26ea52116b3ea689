"""A container with one program and its libraries, and nothing else: no shell, no Python, no package manager, no accounts."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import tarfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from scanner.progress import Silent
from scanner.report import FileEntry
from scanner.scan import scan
from scanner.targets import docker as ways
from scanner.targets.docker import DockerTarget

pytestmark = pytest.mark.docker
PROGRAM = "/usr/bin/sleep"


def _docker(*words: str) -> str:
    return subprocess.run(["docker", *words], capture_output=True, check=True, text=True).stdout.strip()


def needed() -> list[str]:
    """The program and what the loader wants for it, as this machine has them."""
    said = subprocess.run(["ldd", PROGRAM], capture_output=True, check=True, text=True).stdout
    return [PROGRAM, *re.findall(r"(/\S+) \(0x", said)]


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    name, tar = f"forgelet-test-{uuid.uuid4().hex[:8]}", tmp_path_factory.mktemp("bare") / "root.tar"
    with tarfile.open(tar, "w") as tree:
        for path in needed():
            tree.add(os.path.realpath(path), path)
    _docker("import", "--change", f'CMD ["{PROGRAM}", "infinity"]', str(tar), f"{name}:1")
    _docker("run", "--detach", "--name", name, "--label", "forgelet.test=1", "--network", "none", f"{name}:1")
    try:
        yield name
    finally:
        _docker("rm", "--force", "--volumes", name)
        _docker("image", "rm", "--force", f"{name}:1")


def looked(name: str, into: Path) -> dict[str, FileEntry]:
    report = scan(DockerTarget(name, work=into / "work"), into / "scan", Silent())
    assert (report.head.packages, report.head.users) == ([], [])
    return {one.path: one for one in report.files() if one.type == "file" and one.state == "unmanaged"}


def test_all_three_ways_show_every_file_of_it(bare: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        _docker("exec", bare, "/bin/sh", "-c", "true")
    theirs = {path: hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in needed()}
    running = looked(bare, tmp_path / "running")
    assert {path: one.sha256 for path, one in running.items()} == theirs
    _docker("stop", "--time", "0", bare)
    assert {path: one.sha256 for path, one in looked(bare, tmp_path / "stopped").items()} == theirs
    # As from an engine on another machine: neither its processes nor its layers are here.
    monkeypatch.setattr(ways.layers, "here", lambda found: False)
    assert {path: one.sha256 for path, one in looked(bare, tmp_path / "streamed").items()} == theirs
