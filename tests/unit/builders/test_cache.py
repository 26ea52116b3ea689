"""The build cache: what is told of it, what goes first, what is never taken from under somebody, and what a killed build leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from builders.cache import DEFAULT_SIZE, MIB, entries, limit, prune, touch
from scanner.host.locks import held, held_if_free

KIB = 1024


@pytest.fixture(autouse=True)
def nobody_special(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scanner.host.run.as_root", list)


@pytest.fixture
def put(tmp_path: Path) -> Callable[..., Path]:
    """Something in the cache of so many KiB, last used so many seconds after the epoch."""

    def make(name: str, used: int, kib: int = 64) -> Path:
        kind, _, rest = name.partition("/")
        place = tmp_path / kind / rest
        if kind == "base":
            place.mkdir(parents=True)
            (place / "disk.raw").write_bytes(b"x" * kib * KIB)
            record = place / "base.json"
            record.write_text(json.dumps({"codename": "bookworm", "arch": "amd64", "packages": 228, "disk_size": 2000}))
            os.utime(record, (used, used))
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(b"x" * kib * KIB)
            os.utime(place, (used, used))
        return place

    return make


def names(cache: Path) -> list[str]:
    return [one.name for one in entries(cache) if one.kind != "partial"]


def test_everything_is_told_with_kind_size_and_use_what_was_used_last_first(tmp_path: Path, put: Callable[..., Path]) -> None:
    put("base/aa", 300)
    put("pool/x_1_all.deb", 100)
    put("resolved/dd.json", 200, kib=4)
    (tmp_path / "archive/bookworm-amd64-main/lists").mkdir(parents=True)
    (tmp_path / "archive/bookworm-amd64-main/lists/a_Packages").write_bytes(b"x" * 8 * KIB)
    (tmp_path / "archive/bookworm-amd64-main/refreshed").touch()
    told = entries(tmp_path)
    assert [(one.kind, one.name) for one in told] == [("lists", "bookworm-amd64-main"), ("base", "aa"), ("resolution", "dd.json"), ("package", "x_1_all.deb")]
    assert told[1].what == "bookworm amd64, 228 packages, 2000 MiB"
    assert 64 * KIB <= told[1].size <= 80 * KIB
    assert told[3].size == 64 * KIB


def test_what_was_used_longest_ago_goes_first_and_no_more_than_must(tmp_path: Path, put: Callable[..., Path]) -> None:
    put("base/old", 100)
    put("pool/older_1_all.deb", 50)
    put("base/new", 300)
    put("pool/newer_1_all.deb", 200)
    assert [one.name for one in prune(tmp_path, 160 * KIB)] == ["older_1_all.deb", "old"]
    assert names(tmp_path) == ["new", "newer_1_all.deb"]
    assert prune(tmp_path, 160 * KIB) == []


def test_use_counts_and_not_age(tmp_path: Path, put: Callable[..., Path]) -> None:
    put("base/first", 100)
    put("base/second", 200)
    touch(tmp_path / "base/first/base.json")
    prune(tmp_path, 100 * KIB)
    assert names(tmp_path) == ["first"]


def test_lists_stay_whatever_the_size(tmp_path: Path, put: Callable[..., Path]) -> None:
    put("base/aa", 100)
    (tmp_path / "archive/bookworm-amd64-main").mkdir(parents=True)
    prune(tmp_path, 0)
    assert [one.kind for one in entries(tmp_path)] == ["lists"]
    assert not (tmp_path / "base/aa.lock").exists()


def test_what_somebody_uses_stays(tmp_path: Path, put: Callable[..., Path]) -> None:
    put("base/busy", 100)
    put("base/idle", 200)
    put("pool/x_1_all.deb", 50)
    with held(tmp_path / "base/busy.lock"), held(tmp_path / "pool.lock"):
        assert [one.name for one in prune(tmp_path, 0)] == ["idle"]
    assert {one.name for one in prune(tmp_path, 0)} == {"busy", "x_1_all.deb"}


def test_what_a_killed_build_left_goes_and_what_a_living_one_makes_stays(tmp_path: Path) -> None:
    for key in ("dead", "alive"):
        (tmp_path / f"base/{key}.partial").mkdir(parents=True)
        (tmp_path / f"base/{key}.partial/disk.raw").write_bytes(b"half")
    with held(tmp_path / "base/alive.lock"):
        assert [(one.kind, one.name) for one in prune(tmp_path, 1 << 40)] == [("partial", "dead")]
    assert sorted(path.name for path in (tmp_path / "base").glob("*.partial")) == ["alive.partial"]


def test_a_base_of_an_older_version_is_told_and_can_go(tmp_path: Path) -> None:
    (tmp_path / "base/cc").mkdir(parents=True)
    (tmp_path / "base/cc/disk.raw").write_bytes(b"x" * 9000)
    (one,) = entries(tmp_path)
    assert (one.kind, one.what) == ("base", "of a version of Forgelet that kept no record")
    assert prune(tmp_path, 0) == [one]


@pytest.mark.parametrize(("said", "mib"), [("", DEFAULT_SIZE), ("0", 0), ("100", 100), ("much", DEFAULT_SIZE)])
def test_the_setting_bounds_the_cache(monkeypatch: pytest.MonkeyPatch, said: str, mib: int) -> None:
    monkeypatch.setenv("FORGELET_CACHE_SIZE", said)
    assert limit() == mib * MIB


def test_a_lock_ends_with_the_process_that_held_it_however_it_ends(tmp_path: Path) -> None:
    lock = tmp_path / "a.lock"
    holder = (
        "import sys, time; from pathlib import Path; from scanner.host.locks import held\n"
        "with held(Path(sys.argv[1])):\n print('held', flush=True)\n time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", holder, str(lock)], stdout=subprocess.PIPE) as process:
        assert process.stdout and process.stdout.readline() == b"held\n"
        with held_if_free(lock) as free:
            assert not free
        process.send_signal(signal.SIGKILL)
        process.wait()
    with held_if_free(lock) as free:
        assert free


def test_a_lock_whose_file_was_removed_is_not_taken_for_the_new_one(tmp_path: Path) -> None:
    lock = tmp_path / "a.lock"
    with held(lock):
        lock.unlink()
        with held_if_free(lock) as free:
            assert free, "the file that is there now is another lock"


def test_readers_share_a_lock(tmp_path: Path) -> None:
    with held(tmp_path / "a.lock", shared=True), held(tmp_path / "a.lock", shared=True), held_if_free(tmp_path / "a.lock") as free:
        assert not free
