"""The real service on a folder of its own. No engine is needed: folders are scanned, faults hold jobs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.service import Service, until


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A small root tree with a name that is not UTF-8."""
    root = tmp_path / "tree"
    (root / "etc").mkdir(parents=True)
    (root / "etc/os-release").write_text('ID=debian\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\n')
    Path(os.fsdecode(bytes(root) + b"/odd\xff")).write_text("odd")
    return root


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[], Service]]:
    """Start the service, again and again, on the same data folder."""
    running: list[Service] = []

    def begin() -> Service:
        running.append(Service(tmp_path / "data"))
        return running[-1]

    yield begin
    for one in running:
        one.close()


@pytest.fixture
def service(start: Callable[[], Service]) -> Service:
    return start()


@pytest.fixture
def service_until() -> Callable[..., Any]:
    """Waits on a condition."""
    return until
