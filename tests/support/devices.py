"""Loop devices as losetup tells them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any


def attached(place: Path) -> list[dict[str, Any]]:
    """The devices on the file `place` or on what lies below it: `name`, `offset` and `sizelimit` in bytes; by offset.

    One that was given back is not among them, though the kernel keeps it while a copy of a mount of it is left in another namespace
    (that of a machine or a container that began meanwhile): losetup(8) marks it `autoclear` then.
    """
    columns = "NAME,BACK-FILE,OFFSET,SIZELIMIT,AUTOCLEAR"
    said = subprocess.run(["losetup", "-J", "--list", "-O", columns], capture_output=True, check=True).stdout
    rows = json.loads(said or '{"loopdevices": []}')["loopdevices"]
    ours = [row for row in rows if f"{(row['back-file'] or '').removesuffix(' (deleted)')}/".startswith(f"{place.resolve()}/") and not row["autoclear"]]
    return sorted(ours, key=lambda row: int(row["offset"]))
