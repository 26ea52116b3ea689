"""What holds for every test: answers of services are written down for the contract, which is checked last; one real cloud for the whole run."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.register_assert_rewrite("support")
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # What is started in the background may ignore it, and so would all that the tests start and interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)

from support.openstack import Openstack, install  # noqa: E402


@pytest.fixture(scope="session", autouse=True)
def journal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where every service of the run writes its answers down (`emulator/control/answers.py`)."""
    before = os.environ.get("FORGELET_JOURNAL")
    folder = Path(before) if before else tmp_path_factory.mktemp("journal")
    os.environ["FORGELET_JOURNAL"] = str(folder)
    yield folder
    if before is None:
        del os.environ["FORGELET_JOURNAL"]


@pytest.fixture(scope="session")
def openstack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Openstack]:
    """A real Keystone and a real Glance."""
    made = Openstack(install(), tmp_path_factory.mktemp("openstack") / "state")
    try:
        made.start()
        yield made
    finally:
        made.close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.get_closest_marker("last") is not None)
