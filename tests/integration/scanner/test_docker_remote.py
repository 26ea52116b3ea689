"""A Docker engine at another endpoint whose processes are not here: the archive stream, over TCP.

The scan runs in a process namespace of its own, where, as on another machine, no process of the container can be seen.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.engineproxy import EngineProxy, engine_proxy

from scanner.compare import compare_files
from scanner.progress import Silent
from scanner.report import Report
from scanner.scan import scan
from scanner.targets.contract import two_inventories_of_an_idle_system_have_one_digest
from scanner.targets.docker import DockerTarget

pytestmark = pytest.mark.docker

SCAN = """
import json, sys
from pathlib import Path
from scanner.errors import ForgeletError
from scanner.progress import Silent
from scanner.scan import scan
from scanner.targets import contract
from scanner.targets.docker import DockerTarget

verb, name, work, out = sys.argv[1:]
target = DockerTarget(name, work=Path(work), volumes=True)
try:
    if verb == "scan":
        scan(target, Path(out), Silent(), choose=lambda report: lambda entry: "overlay" if entry.path.startswith("/srv/") and entry.type == "file" else None)
    else:
        getattr(contract, verb)(target, Path(out))
except ForgeletError as error:
    print(json.dumps({"type": type(error).__name__, "message": error.message, "hint": error.hint}))
"""
LIVE_IN = r"""
set -e
printf 'hello\n' > /etc/hello; chmod 0640 /etc/hello
printf tagged > /srv/tagged; setfattr -n user.note -v 0x00ff /srv/tagged
cp /bin/true /srv/capped; setcap cap_net_raw+ep /srv/capped
ln /srv/tagged /srv/twin; ln -s nowhere /srv/link; mkfifo /srv/fifo
rm /usr/share/doc/bash/copyright
printf named > /data/inside
"""


@pytest.fixture(scope="module")
def running(image: str) -> Iterator[str]:
    name = f"forgelet-test-{uuid.uuid4().hex[:8]}"
    options = ["--name", name, "--label", "forgelet.test=1", "--network", "none", "--volume", f"{name}:/data"]
    subprocess.run(["docker", "run", "--detach", *options, image, "sleep", "infinity"], check=True, capture_output=True)
    try:
        subprocess.run(["docker", "exec", name, "sh", "-c", LIVE_IN], check=True)
        yield name
    finally:
        subprocess.run(["docker", "rm", "--force", "--volumes", name], check=True, capture_output=True)
        subprocess.run(["docker", "volume", "rm", "--force", name], check=True, capture_output=True)


def from_afar(proxy: EngineProxy, verb: str, name: str, folder: Path) -> dict[str, Any] | None:
    """Run `verb` where the engine is only a URL; the error that it ended with, if any."""
    argv = ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", SCAN, verb, name, str(folder / "work"), str(folder / "out")]
    (folder / "out").mkdir()
    done = subprocess.run(argv, env={**os.environ, "DOCKER_HOST": proxy.url}, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert not (folder / "work").exists() or list((folder / "work").iterdir()) == []
    return json.loads(done.stdout) if done.stdout else None


def test_an_engine_elsewhere_shows_the_same_but_what_its_stream_cannot_carry(running: str, tmp_path: Path) -> None:
    here = scan(DockerTarget(running, volumes=True), tmp_path / "here", Silent())
    with engine_proxy() as proxy:
        assert from_afar(proxy, "scan", running, tmp_path) is None
        assert proxy.answered > here.head.bytes, "every byte came over the wire"
    there = Report(tmp_path / "out")
    assert [(spot.path, "no ACLs" in spot.reason) for spot in there.head.blind_spots] == [("/", True)]
    fields = ("type", "mode", "uid", "gid", "size", "sha256", "target", "hardlink", "device", "state", "reason")
    found = [one for one in compare_files(here, there, fields=fields) if not (one.left and one.left.state == "excluded")]
    assert [(one.path, one.fields) for one in found] == []
    rows = {one.path: one for one in there.files()}
    folders = {one.path: one.mtime // 10**9 for one in here.files() if one.type == "directory" and one.state != "excluded"}
    assert {path: rows[path].mtime // 10**9 for path in folders} == folders
    assert rows["/srv/capped"].xattrs.keys() == {"security.capability"}
    assert rows["/srv/tagged"].xattrs == {}
    assert rows["/data/inside"].state == "unmanaged"
    assert (tmp_path / "out/overlay.tar.zst").stat().st_size > 0


def test_two_scans_of_an_engine_elsewhere_have_one_digest(running: str, tmp_path: Path) -> None:
    with engine_proxy() as proxy:
        assert from_afar(proxy, two_inventories_of_an_idle_system_have_one_digest.__name__, running, tmp_path) is None


def test_a_connection_that_is_cut_is_told_and_leaves_nothing(running: str, tmp_path: Path) -> None:
    with engine_proxy(cut=5_000_000) as proxy:
        error = from_afar(proxy, "scan", running, tmp_path)
    assert error is not None and error["hint"]
    assert error["type"] == "Unreachable", error
    assert list((tmp_path / "out").iterdir()) == []
