"""The built image in a real OpenStack and back, and a whole migration in one command."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from support.bench import Bench
from support.openstack import PASSWORD, Openstack

pytestmark = [pytest.mark.e2e, pytest.mark.docker, pytest.mark.libvirt, pytest.mark.dib]


def test_what_comes_back_from_glance_is_the_image_that_was_proven(bench: Bench, image: int, openstack: Openstack, tmp_path: Path) -> None:
    (tmp_path / "account.yml").write_text(
        f"accounts: [{{type: OpenStack, name: Openstack OW2, glanceUrl: '{openstack.glance}', keystoneUrl: '{openstack.keystone}', keystoneVersion: v3, login: demo, password: {PASSWORD}}}]\n"
    )
    bench.cli("account", "create", "--file", str(tmp_path / "account.yml"))
    spec = tmp_path / "openstack-builder.yml"
    spec.write_text((Path(__file__).parents[2] / "examples/openstack-builder.yml").read_text().replace("tenant: opencloudware", "tenant: demo"))
    sent = bench.json("image", "publish", "--id", str(image), "--file", str(spec))
    [there] = openstack.images()
    built = bench.json("image", "show", "--id", str(image))
    assert (there["id"], there["status"], there["name"], there["visibility"]) == (sent["cloudId"], "active", "scan-test", "private")
    assert (there["disk_format"], there["min_disk"], there["min_ram"]) == ("qcow2", 2, 1024)
    assert (there["os_distro"], there["os_version"]) == ("debian", "12")
    bench.cli("image", "download", "--publish-id", str(sent["dbId"]), "--file", str(tmp_path / "back"))
    with (tmp_path / "back").open("rb") as back:
        assert hashlib.file_digest(back, "sha256").hexdigest() == built["files"][0]["sha256"]
    bench.cli("image", "delete", "--publish-id", str(sent["dbId"]))
    assert openstack.images() == []


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
    assert (told["state"], told["stageList"]) == ("done", ["scan", "build", "publish", "provision"])
    [instance] = bench.json("deploy", "list")["deployments"]["deployment"]
    assert (instance["name"], instance["state"]) == ("in-one", "running")
    made = bench.json("image", "show", "--id", str(told["made"]["build"]))
    assert made["baseFromCache"]
    bench.cli("deploy", "terminate", instance["applicationId"])
    bench.cli("image", "delete", "--publish-id", str(told["made"]["publish"]))
    bench.cli("migration", "delete", str(told["dbId"]))
    bench.cli("image", "delete", "--id", str(made["dbId"]))
