"""A live system becomes an image in a real Glance and a machine of a real Nova: cloud-init in it does what Nova's drive says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.bench import Bench
from support.nova import Compute
from support.openstack import PASSWORD

pytestmark = [pytest.mark.e2e, pytest.mark.docker, pytest.mark.libvirt, pytest.mark.dib]
BOOT = 600
"""Seconds; without hardware acceleration, beside the build's own caches."""
WORD = "forgelet user data was run"
MIGRATION = """migration:
  name: to-nova
  source: {{docker: {system}}}
  target:
    builder: {{type: openstack, account: {{name: migrated, file: account.yml}}, tenant: demo, imageName: migrated, publicImage: 'no', installation: {{diskSize: 2000}}}}
"""


@pytest.fixture(scope="module")
def migrated(bench: Bench, openstack: Compute, live_system: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Scanned, built and published to the real Glance, in one command."""
    folder = tmp_path_factory.mktemp("migration")
    (folder / "account.yml").write_text(
        f"accounts: [{{type: OpenStack, name: migrated, glanceUrl: '{openstack.glance}', keystoneUrl: '{openstack.keystone}', keystoneVersion: v3, login: demo, password: {PASSWORD}}}]\n"
    )
    (folder / "m.yml").write_text(MIGRATION.format(system=live_system))
    told: dict[str, Any] = bench.json("migration", "launch", "--file", str(folder / "m.yml"))
    assert (told["state"], told["stageList"]) == ("done", ["scan", "rehearse", "build", "publish"]), told
    yield told
    bench.cli("image", "delete", "--publish-id", str(told["made"]["publish"]))
    assert openstack.images() == []


@pytest.fixture(scope="module")
def deployment(bench: Bench, openstack: Compute, migrated: dict[str, Any], key: Path) -> Iterator[dict[str, Any]]:
    openstack.cli("flavor", "create", "--ram", "1024", "--disk", "3", "--vcpus", "1", "small", user="admin", project="admin")
    script = key.with_name("migrated-user-data")
    script.write_text(f'#!/bin/sh\necho "{WORD} on $(hostname), $(grep -c tester /root/.ssh/authorized_keys) key" > /dev/ttyS0\n')
    asked = ["--publish-id", str(migrated["made"]["publish"]), "--name", "copy-2", "--flavor", "small", "--key", str(key), "--user-data", str(script)]
    made = bench.json("deploy", "create", *asked)
    yield made
    bench.cli("deploy", "terminate", made["applicationId"])
    assert json.loads(openstack.cli("server", "list", "-f", "json")) == []


def test_the_machine_comes_up_with_the_name_the_key_and_the_script_of_novas_drive(bench: Bench, openstack: Compute, migrated: dict[str, Any], deployment: dict[str, Any]) -> None:
    """By what it says on its console itself."""
    assert deployment["state"] == "running"
    [server] = json.loads(openstack.cli("server", "list", "--long", "-f", "json"))
    assert (server["ID"], server["Name"], server["Status"], server["Image Name"]) == (deployment["cloudId"], "copy-2", "ACTIVE", "migrated")
    wanted = ("Linux version", "copy-2 login:", f"{WORD} on copy-2, 1 key")
    bench.service.until(lambda: not [one for one in wanted if one not in bench.cli("deploy", "console", deployment["applicationId"])], BOOT)
