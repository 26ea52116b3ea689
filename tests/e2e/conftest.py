"""The whole chain on the real engines, driven as a person drives it: the command line against the real service.

One live system, one service data folder and one base disk serve the whole run. Workers of pytest-xdist have a system and a service each;
what is in the cache they have in common, as services of pytest sessions do.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.behind import machine_behind
from support.bench import EXAMPLE, Bench, standing
from support.hammr import Hammr, install
from support.openstack import PASSWORD, Openstack
from xdist.scheduler import LoadScopeScheduling

from builders.machine import Machine

OF_THE_MACHINE = ("test_migration_by_hammr.py", "test_running_domain.py")
"""Their tests have one machine in common (`machine`)."""


class _Chain(LoadScopeScheduling):
    """Tests of one file stay with one worker, and so do the files whose tests need the one machine."""

    def _split_scope(self, nodeid: str) -> str:
        file = Path(nodeid.partition("::")[0]).name
        return "machine" if file in OF_THE_MACHINE else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    return _Chain(config, log)


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    data = tmp_path_factory.mktemp("forgelet")
    if "PYTEST_XDIST_WORKER" in os.environ:
        # The folder above is the run's.
        shared = tmp_path_factory.getbasetemp().parent / "cache"
        shared.mkdir(exist_ok=True, mode=0o700)
        (data / "cache").symlink_to(shared)
    with standing(data) as made:
        yield made


@pytest.fixture(scope="session")
def live_system(bench: Bench, worker_id: str) -> Iterator[str]:
    """The name of a running container that looks lived in."""
    with bench.lived_in(f"forgelet-e2e-web-{worker_id}") as name:
        yield name


@pytest.fixture(scope="session")
def scan(bench: Bench, live_system: str) -> int:
    """The number of a scan with overlay."""
    bench.cli("scan", "run", "--docker", live_system, "--name", "scanExample", "--overlay")
    return int(bench.json("scan", "list")["scannedInstances"]["scannedInstance"][0]["scans"]["scan"][0]["dbId"])


@pytest.fixture(scope="session")
def image(bench: Bench, scan: int) -> int:
    """The number of the image that the seed's builder file asks for."""
    said = bench.cli("scan", "build", "--id", str(scan), "--file", str(EXAMPLE))
    assert "OK: Syntax of template file [openstack-builder.yml] is ok" in said
    assert "Generating 'openstack' image (1/1)" in said
    assert "OK: Generation 'openstack' ok" in said
    assert "qemu-system-x86_64" in said
    return max(int(one["dbId"]) for one in bench.json("image", "list")["images"]["image"])


@pytest.fixture(scope="module")
def hammr(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> Hammr:
    """The real client of the service as it runs now: one that was killed comes back on another port."""
    url = f"{bench.service.origin}/api"
    return Hammr(install(), tmp_path_factory.mktemp("hammr"), url, ["-a", url, "-u", "root", "-p", "forgelet"])


@dataclass(frozen=True)
class Returned:
    """The image, published to a real Glance by the command line, as it came back from there."""

    sent: dict[str, Any]
    """The publication."""
    there: dict[str, Any]
    """What Glance said of it."""
    built: dict[str, Any]
    sha256: str
    """Of the file that came back."""


@pytest.fixture(scope="session")
def returned(bench: Bench, image: int, openstack: Openstack, tmp_path_factory: pytest.TempPathFactory) -> Returned:
    """From here on the image's disk is the file that came back."""
    folder = tmp_path_factory.mktemp("returned")
    (folder / "account.yml").write_text(
        f"accounts: [{{type: OpenStack, name: Openstack OW2, glanceUrl: '{openstack.glance}', keystoneUrl: '{openstack.keystone}', keystoneVersion: v3, login: demo, password: {PASSWORD}}}]\n"
    )
    bench.cli("account", "create", "--file", str(folder / "account.yml"))
    spec = folder / "openstack-builder.yml"
    spec.write_text(EXAMPLE.read_text().replace("tenant: opencloudware", "tenant: demo"))
    sent = bench.json("image", "publish", "--id", str(image), "--file", str(spec))
    [there] = openstack.images()
    built = bench.json("image", "show", "--id", str(image))
    back = folder / "back"
    bench.cli("image", "download", "--publish-id", str(sent["dbId"]), "--file", str(back))
    bench.cli("image", "delete", "--publish-id", str(sent["dbId"]))
    assert openstack.images() == []
    with back.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    disk = bench.data / "images" / str(image) / built["files"][0]["name"]
    disk.unlink()
    back.rename(disk)
    return Returned(sent, there, built, sha256)


@pytest.fixture(scope="session")
def machine(bench: Bench, image: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine of the image, running behind a gateway; the last who needs it switches it off."""
    with machine_behind(bench.data / "images" / str(image) / "image.qcow2", tmp_path_factory.mktemp("behind")) as found:
        yield found
