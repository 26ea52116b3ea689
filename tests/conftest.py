"""What holds for every test: answers of services are written down for the contract, which is checked last."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session", autouse=True)
def journal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where every service of the run writes its answers down (`emulator/control/journal.py`)."""
    before = os.environ.get("FORGELET_JOURNAL")
    folder = Path(before) if before else tmp_path_factory.mktemp("journal")
    os.environ["FORGELET_JOURNAL"] = str(folder)
    yield folder
    if before is None:
        del os.environ["FORGELET_JOURNAL"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.get_closest_marker("last") is not None)
