"""What the benchmarks share: a tree to scan, reports to compare, a clock, and memory as the kernel counts it."""

from __future__ import annotations

import hashlib
import json
import os
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from scanner.report import FileEntry, ScanReport, file_table, write_head

SEED = 20260101
LARGEST = 4 << 20
LOGIN = ("root", "forgelet")


def tell(line: str) -> None:
    print(line, flush=True)


@contextmanager
def stopwatch() -> Iterator[Callable[[], float]]:
    """Seconds since the block began; after it, its whole length."""
    started = time.perf_counter()
    ended: list[float] = []
    yield lambda: (ended[0] if ended else time.perf_counter()) - started
    ended.append(time.perf_counter())


def peak_mib() -> float:
    """The most memory that this process ever held (getrusage(2), ru_maxrss is in KiB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def in_own_process(module: str, *words: str) -> dict[str, float]:
    """Run `python -m MODULE WORDS`, which prints one JSON object: its own memory is its own."""
    done = subprocess.run([sys.executable, "-m", module, *words], check=True, stdout=subprocess.PIPE)
    answer: dict[str, float] = json.loads(done.stdout)
    return answer


def make_tree(root: Path, files: int) -> int:
    """A tree of folders of 50 files; half of them owned by packages with MD5 sums. Answers its bytes.

    Sizes are like those of a Debian system: half of the files below 3 KiB, some 20 KiB in the mean, a few of megabytes.
    """
    source = random.Random(SEED)
    block = source.randbytes(LARGEST * 2)
    info = root / "var/lib/dpkg/info"
    info.mkdir(parents=True)
    status, total = [], 0
    for folder in range(files // 50):
        where = f"usr/share/p{folder % 40}/d{folder}"
        (root / where).mkdir(parents=True)
        rows = []
        for number in range(50):
            start = source.randrange(LARGEST)
            data = block[start : start + min(LARGEST, int(source.lognormvariate(8, 2)))]
            (root / where / f"f{number}").write_bytes(data)
            total += len(data)
            rows.append((f"{where}/f{number}", hashlib.md5(data, usedforsecurity=False).hexdigest()))
        if folder % 2:
            status.append(_package(info, f"p{folder}", rows))
    (root / "var/lib/dpkg/status").write_text("\n".join(status))
    return total


def _package(info: Path, name: str, rows: list[tuple[str, str]]) -> str:
    (info / f"{name}.list").write_text("/.\n" + "".join(f"/{path}\n" for path, _ in rows))
    (info / f"{name}.md5sums").write_text("".join(f"{md5}  {path}\n" for path, md5 in rows))
    return f"Package: {name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.0-1\n"


def make_report(folder: Path, entries: int, changed: int = 0) -> Path:
    """A report with so many paths; every `changed`-th of them is different from what it is without."""
    folder.mkdir(parents=True)
    with file_table(folder) as lines:
        for entry in _entries(entries, changed):
            lines.write(entry.to_json().encode("ascii") + b"\n")
    write_head(folder, ScanReport(target="bench", counts={"files": entries}))
    return folder


def _entries(count: int, changed: int) -> Iterator[FileEntry]:
    yield FileEntry(path="/", type="directory", state="unmanaged", reason="not-in-any-package", mode="0755")
    for number in range(count - 1):
        other = bool(changed) and number % changed == 0
        digest = hashlib.sha256(b"%d %d" % (number, other)).hexdigest()
        path = f"/usr/share/p{number // 5000:06}/d{number // 50:08}/f{number:09}"
        yield FileEntry(path, "file", "managed", "md5-equal", "0644", 0, 0, number % 9999, 10**18 + number, digest, package=f"p{number // 5000}")


def root_only() -> None:
    """The scan of a folder runs as it is for root."""
    if os.geteuid() != 0:
        tell("(not root: sudo is part of the scan's time)")


@contextmanager
def served(data: Path) -> Iterator[tuple[httpx.Client, int]]:
    """A service of its own on a data folder, ready: a client of it that is logged in, and the service's process."""
    argv = [sys.executable, "-m", "cli.main", "serve", "--port", "0", "--data", str(data)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, start_new_session=True) as service:
        try:
            assert service.stdout
            origin = next(word for word in service.stdout.readline().split() if word.startswith("http://")).removesuffix("/api")
            with httpx.Client(base_url=origin, auth=LOGIN, timeout=60, trust_env=False) as http:
                _ready(http)
                yield http, service.pid
        finally:
            service.terminate()


def _ready(http: httpx.Client) -> None:
    """Return when the service answers, within 30 seconds."""
    deadline = time.monotonic() + 30
    while True:
        try:
            if http.get("/_forgelet/health").json()["ready"]:
                return
        except httpx.TransportError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.1)
