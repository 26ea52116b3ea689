"""What holds whatever is sent: a `uforgeError` that a client can read, never a fault of the service, and nothing written outside the data folder."""

from __future__ import annotations

import os
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from lxml import etree

UFORGE = "{http://www.usharesoft.com/uforge}"
FACTOR = int(os.environ.get("FORGELET_FUZZ", "1"))
"""`make fuzz` tries so many times as much."""
ROOT = Path(__file__).parents[2]
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CHANGES = {"os.mkdir": 0, "os.rename": 1, "os.symlink": 1, "os.link": 1, "os.chmod": 0, "os.chown": 0, "os.remove": 0, "os.rmdir": 0, "os.truncate": 0, "os.utime": 0, "os.setxattr": 0}
"""Audit event -> which of its arguments is the path that is changed."""


def tries(number: int) -> settings:
    """So many examples (more in a campaign), always the same ones in a short run."""
    quiet = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    return settings(max_examples=number * FACTOR, deadline=None, derandomize=FACTOR == 1, database=None, suppress_health_check=quiet)


def check(answer: Any, sent: str = "") -> None:
    """Never a fault; a refusal is a `uforgeError` with all that the real client needs of it."""
    where = f"{answer.request.method} {answer.request.url} {sent[:300]}"
    assert answer.status_code < 500 or answer.status_code == 501, f"{where}\n{answer.status_code} {answer.text[:500]}"
    assert "Traceback" not in answer.text, where
    if answer.status_code < 400:
        return
    if answer.headers["content-type"] == "application/xml":
        root = etree.fromstring(answer.content)
        assert root.tag == f"{UFORGE}uforgeError", where
        told = {one: root.findtext(one) for one in ("localizedErrorMsg/message", "requestMethod", "requestUri", "statusCode")}
    else:
        error = answer.json()["uforgeError"]
        told = {**{one: error[one] for one in ("requestMethod", "requestUri", "statusCode")}, "message": error["localizedErrorMsg"]["message"]}
    assert all(told.values()) and str(told["statusCode"]) == str(answer.status_code), f"{where}\n{told}"


class _Watch:
    """An audit hook cannot be taken away: this one looks only while a folder is being watched, and not at the test's own thread."""

    def __init__(self) -> None:
        self.folder: Path | None = None
        self.outside: list[str] = []
        sys.addaudithook(self)

    def __call__(self, event: str, args: tuple[Any, ...]) -> None:
        if self.folder is None or threading.current_thread() is threading.main_thread():
            return
        if event == "open" and isinstance(args[2], int) and args[2] & WRITES:
            self._note(event, args[0])
        elif event in CHANGES:
            self._note(event, args[CHANGES[event]])

    def _note(self, event: str, path: Any) -> None:
        # A number is a descriptor, and a relative name mostly belongs to one: what they lead to was opened by name first.
        if not isinstance(path, (str, bytes)):
            return
        where = os.path.realpath(os.fsdecode(path))
        mine = os.fsdecode(path).startswith("/") and not f"{where}/".startswith((f"{self.folder}/", "/dev/", "/proc/"))
        # The service of a test that has just ended may still be putting its own folder in order.
        other = re.match(rf"{re.escape(str(self.folder.parents[1]))}/test_[^/]+/", f"{where}/") and not where.startswith(f"{self.folder.parent}/")
        # Python's own, of a module of ours that a request is the first to want.
        compiled = re.match(rf"{re.escape(str(ROOT))}/[a-z_/]+/__pycache__/", f"{where}/")
        if mine and not other and not compiled:
            self.outside.append(f"{event} {where}")


_watch: list[_Watch] = []


@contextmanager
def nothing_outside(folder: Path) -> Iterator[None]:
    """Fails when anything but the test itself changes something outside `folder`, by its name, within the block."""
    if not _watch:
        _watch.append(_Watch())
    (watch,) = _watch
    watch.folder, watch.outside = folder.resolve(), []
    try:
        yield
    finally:
        watch.folder = None
    assert watch.outside == []
