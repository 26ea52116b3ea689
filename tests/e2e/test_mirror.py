"""A mirror goes down while the packages of a build come: the job says so, nothing of it stays, and the next build works.

The scan is a simple one, built with `packages: nearest`.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from support.bench import EXAMPLE, standing
from support.leftovers import machine_state
from support.mirror import passing

pytestmark = [pytest.mark.e2e, pytest.mark.docker, pytest.mark.dib]

MIB = 2**20
DIRECT = 'Acquire::http::Proxy::127.0.0.1 "DIRECT";\nAcquire::Retries::Delay "false";\n'
"""No proxy of this machine's stands before 127.0.0.1; nobody waits for one who is gone."""


def test_a_build_whose_mirror_goes_down_fails_with_the_cause_and_the_next_one_works(live_system: str, tmp_path: Path) -> None:
    (tmp_path / "apt.conf").write_text(DIRECT)
    (tmp_path / "nearest.yml").write_text(EXAMPLE.read_text().replace("- type: openstack\n", "- type: openstack\n  packages: nearest\n"))
    with passing() as mirror, standing(tmp_path / "data", {**mirror.settings(), "APT_CONFIG": str(tmp_path / "apt.conf"), "no_proxy": "127.0.0.1"}) as bench:
        bench.cli("scan", "run", "--docker", live_system, "--name", "web")
        before = machine_state(bench.data)
        mirror.budget = 20 * MIB
        image = bench.start_build(1, tmp_path / "nearest.yml")
        job = bench.service.ended(image["jobId"], 300)
        assert (job["state"], "packages could not be downloaded" in job["error"], "mirror" in job["hint"]) == ("failed", True, True), job
        assert machine_state(bench.data) == before
        assert not (bench.data / "jobs" / str(image["jobId"]) / "work").exists() and not (bench.data / "images" / str(image["dbId"])).exists()
        came = {file.name for file in (bench.data / "cache/pool").glob("*.deb")}
        assert 0 < sum((bench.data / "cache/pool" / name).stat().st_size for name in came) <= 20 * MIB
        mirror.budget = float("inf")
        image = bench.start_build(1, tmp_path / "nearest.yml")
        built = bench.service.ended(image["jobId"], 600)
        assert built["state"] == "done", built
        assert came < {file.name for file in (bench.data / "cache/pool").glob("*.deb")}
        told = bench.json("image", "show", "--id", str(image["dbId"]))
        assert told["notBrought"]["packages"] == 1 and told["notBrought"]["no overlay"] > 0, "the package that no repository offers"
        assert machine_state(bench.data) == before
