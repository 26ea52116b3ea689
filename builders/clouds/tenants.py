"""What one tenant has in the local cloud, as folders."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path


def belongings(home: Path, tenant: str, begun: Iterable[str] = ()) -> list[Path]:
    """The tenant's instances, and his images; of those that he began to publish also what is there of one that was being taken in. An image from
    which another's instance runs stays."""
    instances = {file.parent: json.loads(file.read_bytes()) for file in (home / "instances").glob("*/instance.json")}
    used = {one["image"] for one in instances.values() if one["tenant"] != tenant}
    images = [file.parent for file in (home / "images").glob("*/image.json") if json.loads(file.read_bytes())["tenant"] == tenant]
    return [
        *(folder for folder, one in instances.items() if one["tenant"] == tenant),
        *(folder for folder in images if folder.name not in used and not folder.name.startswith(".")),
        *(home / "images" / f".{image}" for image in begun),
    ]
