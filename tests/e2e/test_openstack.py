"""The built image in a real OpenStack and back, and a whole migration in one command."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.bench import Bench
from support.openstack import PASSWORD, Openstack

pytestmark = [pytest.mark.e2e, pytest.mark.docker, pytest.mark.libvirt, pytest.mark.dib]


def test_what_comes_back_from_glance_is_the_image_that_was_built(returned: Any) -> None:
    """That it boots and is the source is proven of this very file (test_migration.py)."""
    there = returned.there
    assert (there["id"], there["status"], there["name"], there["visibility"]) == (returned.sent["cloudId"], "active", "scan-test", "private")
    assert (there["disk_format"], there["min_disk"], there["min_ram"]) == ("qcow2", 2, 1024)
    assert (there["os_distro"], there["os_version"]) == ("debian", "12")
    assert returned.sha256 == returned.built["files"][0]["sha256"] == there["forgelet_sha256"]


def test_a_migration_in_one_command(bench: Bench, image: int, live_system: str, tmp_path: Path) -> None:
    """With the base disk that `image` left in the cache."""
    (tmp_path / "m.yml").write_text(
        f"""migration:
  name: in-one
  source: {{docker: {live_system}}}
  target:
    builder: {{type: openstack, account: local, imageName: in-one, installation: {{diskSize: 2000}}}}
    provision: {{flavor: f1.small}}
"""
    )
    told = bench.json("migration", "launch", "--file", str(tmp_path / "m.yml"))
    assert (told["state"], told["stageList"]) == ("done", ["scan", "rehearse", "build", "publish", "provision"])
    [instance] = bench.json("deploy", "list")["deployments"]["deployment"]
    assert (instance["name"], instance["state"]) == ("in-one", "running")
    made = bench.json("image", "show", "--id", str(told["made"]["build"]))
    assert made["baseFromCache"]
    bench.cli("deploy", "terminate", instance["applicationId"])
    bench.cli("image", "delete", "--publish-id", str(told["made"]["publish"]))
    bench.cli("migration", "delete", str(told["dbId"]))
    bench.cli("image", "delete", "--id", str(made["dbId"]))


def test_a_migration_goes_on_from_the_stage_that_failed(bench: Bench, image: int, live_system: str, openstack: Openstack, tmp_path: Path) -> None:
    """To a real cloud, whose password was wrong at first."""

    def account(password: str) -> None:
        (tmp_path / "a.yml").write_text(
            f"accounts: [{{type: OpenStack, name: moved, glanceUrl: '{openstack.glance}', keystoneUrl: '{openstack.keystone}', keystoneVersion: v3, login: demo, password: {password}}}]\n"
        )
        bench.cli("account", "create", "--file", str(tmp_path / "a.yml"))

    account("not-the-password")
    (tmp_path / "m.yml").write_text(
        f"""migration:
  name: moved-on
  source: {{docker: {live_system}}}
  target:
    builder: {{type: openstack, account: {{name: moved}}, tenant: demo, imageName: moved-on, publicImage: 'no', installation: {{diskSize: 2000}}}}
"""
    )
    bench.cli("migration", "launch", "--file", str(tmp_path / "m.yml"), code=1)
    [failed] = [one for one in bench.json("migration", "list")["migrations"]["migration"] if one["name"] == "moved-on"]
    assert (failed["state"], failed["stage"], list(failed["made"])) == ("failed", "publish", ["scan", "build", "publish"])
    assert "does not take the login" in failed["status"]["errorMessage"]
    [wrong] = [one for one in bench.json("account", "list")["credAccounts"]["credAccount"] if one["name"] == "moved"]
    bench.cli("account", "delete", "--id", str(wrong["dbId"]))
    account(PASSWORD)
    done = bench.json("migration", "resume", str(failed["dbId"]))
    assert (done["state"], [done["made"][stage] for stage in ("scan", "build")]) == ("done", [failed["made"][stage] for stage in ("scan", "build")])
    [there] = openstack.images()
    made = bench.json("image", "show", "--id", str(done["made"]["build"]))
    assert (there["name"], there["status"], there["forgelet_sha256"]) == ("moved-on", "active", made["files"][0]["sha256"])
    assert made["baseFromCache"]
    assert "moved-on: Done" in bench.cli("migration", "show", str(done["dbId"]))
    bench.cli("image", "delete", "--publish-id", str(done["made"]["publish"]))
    bench.cli("migration", "delete", str(done["dbId"]))
    bench.cli("image", "delete", "--id", str(made["dbId"]))
    assert openstack.images() == []
    assert [one for one in bench.json("migration", "list")["migrations"]["migration"] if one["name"] == "moved-on"] == []
