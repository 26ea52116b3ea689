"""The real client against the real service. How to use what is here:

    def test_something(hammr: Hammr, service: Service) -> None:
        said = hammr("user", "info")                  # asserts exit status 0 and no traceback
        assert "root" in said.text
        told = service.http.get("/api/users/root").json()   # always look by a second route: JSON, or service.data on disk

`hammr` and `service` are one pair for a whole test file; each file has its own empty data folder. `hammr_folder` holds `bin/hammr` and
`bin/python` (2.7, with the client's SDK). `anybody(*credentials)` is hammr with other credentials, in a home of its own;
`anybody(url=...)` with another URL. `polls(path, stage)` tells whether hammr polls. Every answer that any service of the run gives is
written down (`FORGELET_JOURNAL`), and `test_bindings.py`, which comes last, has the client's own bindings parse them all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.hammr import Hammr, Polls, install
from support.service import Service


@pytest.fixture(scope="session")
def hammr_folder() -> Path:
    return install()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service on an empty data folder, for the tests of one file."""
    made = Service(tmp_path_factory.mktemp("hammr") / "data")
    yield made
    made.close()


@pytest.fixture(scope="module")
def anybody(service: Service, hammr_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Hammr]:
    def made(*credentials: str, url: str = "") -> Hammr:
        where = url or f"{service.origin}/api"
        return Hammr(hammr_folder, tmp_path_factory.mktemp("home"), where, ["-a", where, *credentials] if credentials else [])

    return made


@pytest.fixture(scope="module")
def hammr(anybody: Callable[..., Hammr]) -> Hammr:
    """The first user's hammr."""
    return anybody("-u", "root", "-p", "forgelet")


@pytest.fixture
def polls(service: Service, journal: Path) -> Polls:
    """Made with a path (a pattern, below the user) and a stage: whether hammr has asked for it since, and the newest job is in the stage."""
    file = journal / f"{service.process.pid}.ndjson"

    def lines() -> list[str]:
        return file.read_text(encoding="utf-8").splitlines() if file.exists() else []

    def made(path: str, stage: str = "") -> Callable[[], bool]:
        before, wanted = len(lines()), re.compile(f"/api/users/root/{path}/?")

        def polled() -> bool:
            told = map(json.loads, lines()[before:])
            return any(one["method"] == "GET" and wanted.fullmatch(one["path"]) and one["client"].startswith("python-requests") for one in told)

        return lambda: polled() and (not stage or service.newest_job()["stage"] == stage)

    return made
