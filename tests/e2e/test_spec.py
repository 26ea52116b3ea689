"""Builder files verified as CI does it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import yaml
from support.bench import EXAMPLE, Bench
from support.service import FORGELET

pytestmark = [pytest.mark.e2e, pytest.mark.docker, pytest.mark.dib]


def test_files_are_built_against_a_scan_and_against_a_running_system(bench: Bench, scan: int, image: int, live_system: str, tmp_path: Path) -> None:
    """With the base disk that `image` left in the cache."""
    small = tmp_path / "small.yml"
    small.write_text(EXAMPLE.read_text().replace("diskSize: 2000", "diskSize: 300"))
    report = tmp_path / "junit.xml"
    before = {one["dbId"] for one in bench.json("image", "list")["images"]["image"]}
    bench.cli("spec", "test", str(EXAMPLE), str(small), "--against", str(scan), "--level", "build", "--junit", str(report), code=1)
    suite = ET.parse(report).getroot()
    assert [(one.get("classname"), len(one)) for one in suite] == [(str(EXAMPLE), 1), (str(small), 2)]
    assert "disk-too-small" in (suite[1].findtext("failure") or "")
    assert {one["dbId"] for one in bench.json("image", "list")["images"]["image"]} == before
    told = bench.json("spec", "test", str(EXAMPLE), "--against", f"docker:{live_system}", "--level", "rehearse")
    assert [case["exitCode"] for case in told["cases"]] == [0]


def test_the_recipe_s_lines_do_what_they_say(tmp_path: Path) -> None:
    """Those of *Verify*, up to a rehearsal, with a service and a live system of its own; a file that is wrong fails it, and is told."""
    steps = yaml.safe_load((EXAMPLE.parents[1] / "docs/recipes/github.yml").read_text())["jobs"]["specs"]["steps"]
    [lines] = [step["run"] for step in steps if step.get("name") == "Verify"]
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs/good.yml").write_text(EXAMPLE.read_text())
    (tmp_path / "specs/wrong.yml").write_text("builders: [{type: openstack, instalation: {}}]\n")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    env = {
        **{name: value for name, value in os.environ.items() if not name.startswith("FORGELET_") or "MIRROR" in name},
        "PATH": f"{Path(FORGELET[0]).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(EXAMPLE.parents[1]),
        "LEVEL": "rehearse",
        "NAME": "forgelet-e2e-recipe",
        "FORGELET_DATA": str(tmp_path / "data"),
        "FORGELET_PORT": port,
        "FORGELET_URL": f"http://127.0.0.1:{port}/api",
    }
    runner = subprocess.Popen(["bash", "-e", "-o", "pipefail", "-c", lines], cwd=tmp_path, env=env, start_new_session=True)
    try:
        assert runner.wait(300) == 1
    finally:
        os.killpg(runner.pid, signal.SIGTERM)
        subprocess.run([*FORGELET, "lab", "down", env["NAME"]], env=env, check=False)
    told = {one.get("classname"): [under.tag for under in one] for one in ET.parse(tmp_path / "junit.xml").getroot()}
    assert told == {"specs/good.yml": ["system-out"], "specs/wrong.yml": ["failure", "system-out"]}
    assert "1 of 2 well" in (tmp_path / "summary.md").read_text()
