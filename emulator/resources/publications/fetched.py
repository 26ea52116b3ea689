"""Images that came back from their clouds, kept for a while: a client that goes on with a download does not make the service fetch it again.

`fetched/NUMBER-IMAGE` is one that is kept, by publication and image; `…-link-ID` is the same file under a name of one answer's own, so
that what is swept meanwhile still arrives. How long ago it was used is its modification time.
"""

from __future__ import annotations

import os
import threading
import uuid
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from scanner.host import clock

KEPT_FOR = 3600.0
"""Seconds after its last use."""
KEPT = 4
"""Images; what was used longest ago goes first."""
_fetching: defaultdict[Path, threading.Lock] = defaultdict(threading.Lock)
"""Place -> held while it is fetched: the next one waits, and goes on with what broke off."""


def link(place: Path, fetch: Callable[[Path], None]) -> Path:
    """`place` under a name of the caller's own, who takes it away; fetched when it is not there."""
    with _fetching[place]:
        if not place.exists():
            # Not every cloud's file is whole when it is there.
            coming = place.with_name(f"{place.name}.coming")
            fetch(coming)
            coming.rename(place)
        os.utime(place)
        mine = place.with_name(f"{place.name}-link-{uuid.uuid4().hex}")
        mine.hardlink_to(place)
    sweep(place.parent)
    later = threading.Timer(KEPT_FOR + 1, sweep, (place.parent,))
    later.daemon = True
    later.start()
    return mine


def sweep(folder: Path) -> None:
    """Take away what nobody used for `KEPT_FOR` seconds, links that no answer took away and parts that nobody went on with included; and of the
    images all but the last `KEPT`."""
    found = sorted((one for one in folder.glob("*") if one.is_file()), key=_used, reverse=True)
    old = [one for one in found if _used(one) < clock.real().timestamp() - KEPT_FOR]
    whole = [one for one in found if "-link-" not in one.name and not one.suffix]
    for one in {*old, *whole[KEPT:]}:
        one.unlink(missing_ok=True)


def forget(place: Path) -> None:
    """Take away what is kept there, and parts of it."""
    for one in (place, *place.parent.glob(f"{place.name}.*")):
        one.unlink(missing_ok=True)


def _used(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
