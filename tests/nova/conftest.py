"""A real Nova: one service, one cloud for the run. `make nova` runs it; `make test` does not."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import paramiko
import pytest
from support.bench import Bench, standing
from support.nova import Compute, install, packages


@pytest.fixture(scope="session")
def openstack() -> Iterator[Compute]:
    """Keystone, Glance, Placement and Nova; the only stand-in is Neutron's."""
    # Not in pytest's folders: libvirt's own user cannot enter those.
    state = Path(tempfile.mkdtemp(prefix="forgelet-nova-", dir="/var/tmp"))
    state.chmod(0o755)
    made = Compute(install(), state, packages=packages())
    try:
        made.start()
        yield made
    finally:
        made.close()


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with standing(tmp_path_factory.mktemp("forgelet")) as made:
        yield made


@pytest.fixture(scope="session")
def live_system(bench: Bench) -> Iterator[str]:
    """The name of a running container that looks lived in."""
    with bench.lived_in("forgelet-nova-web") as name:
        yield name


@pytest.fixture(scope="session")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A public key."""
    made = paramiko.RSAKey.generate(2048)
    file = tmp_path_factory.mktemp("key") / "id.pub"
    file.write_text(f"ssh-rsa {made.get_base64()} tester\n")
    return file
