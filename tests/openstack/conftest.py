"""Each test has a service on a folder of its own; the cloud is one for the whole run (`tests/conftest.py`)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from support.cutproxy import CutProxy
from support.openstack import Openstack
from support.service import Service


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    running = Service(tmp_path / "data")
    try:
        yield running
    finally:
        running.close()


@pytest.fixture
def proxy(openstack: Openstack) -> Iterator[CutProxy]:
    """Before Glance."""
    made = CutProxy(openstack.ports["glance"])
    yield made
    made.close()


@pytest.fixture(autouse=True)
def nothing_left(openstack: Openstack) -> Iterator[None]:
    """In the cloud, neither as it tells nor on its disk. What is left all the same is no other test's matter."""
    yield
    left, files = openstack.images(), [path.name for path in (openstack.state / "glance/images").iterdir()]
    for image in left:
        httpx.delete(f"{openstack.glance}/v2/images/{image['id']}", headers={"X-Auth-Token": openstack.token()}, timeout=60, trust_env=False)
    assert (left, files) == ([], [])
