"""How long a reset takes that empties the metadata of a service, next to what a test suite would do instead: copy an empty database and open it."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import httpx

from bench.support import served, stopwatch, tell

ROUNDS = 20
ACCOUNTS = 20
ACCOUNT = {"targetPlatform": {"name": "openstack"}, "keystoneUrl": "http://127.0.0.1:1", "keystoneVersion": "v3", "glanceUrl": "http://127.0.0.1:1", "login": "x", "password": "y"}


def _reset(http: httpx.Client) -> float:
    """Seconds from the request to its answer, after something was made."""
    for number in range(ACCOUNTS):
        http.post("/api/users/root/accounts", json={**ACCOUNT, "name": f"a{number}"}).raise_for_status()
    with stopwatch() as seconds:
        http.post("/_forgelet/reset").raise_for_status()
    return seconds()


def _copied(empty: Path, target: Path) -> float:
    with stopwatch() as seconds:
        shutil.copyfile(empty, target)
        with closing(sqlite3.connect(target)) as database:
            database.execute("SELECT count(*) FROM user").fetchone()
    return seconds()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, served(Path(folder) / "data") as (http, _):
        took = sorted(_reset(http) for _ in range(ROUNDS))
        empty = Path(folder) / "empty.db"
        with closing(sqlite3.connect(Path(folder) / "data/forgelet.db")) as database:
            database.execute("VACUUM INTO ?", (str(empty),))
        peer = sorted(_copied(empty, Path(folder) / f"{number}.db") for number in range(ROUNDS))
    middle = ROUNDS // 2
    tell(f"reset: over HTTP {took[middle] * 1000:.1f} ms (the fastest {took[0] * 1000:.1f}); copying an empty database and opening it: {peer[middle] * 1000:.1f} ms")


if __name__ == "__main__":
    main()
