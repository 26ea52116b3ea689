"""A service that was running before the plugin came."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.service import Service


@pytest.fixture
def service(tmp_path: Path) -> Iterator[str]:
    running = Service(tmp_path / "running")
    try:
        yield running.origin
    finally:
        running.close()
