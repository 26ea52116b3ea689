"""One cloud for the session; each test has a service of its own folder, or none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.openstack import Openstack, install
from support.service import Service


@pytest.fixture(scope="session")
def openstack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Openstack]:
    """A real Keystone and a real Glance."""
    made = Openstack(install(), tmp_path_factory.mktemp("openstack") / "state")
    try:
        made.start()
        yield made
    finally:
        made.close()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    running = Service(tmp_path / "data")
    try:
        yield running
    finally:
        running.close()
