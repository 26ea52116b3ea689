"""A build in a network without any way out: `unshare -n python -m support.offline SCAN CACHE FOLDER`; one raw disk."""

from __future__ import annotations

import sys
from pathlib import Path

from builders.platforms.openstack import Openstack
from builders.spec import BuilderSpec
from scanner.progress import Silent

if __name__ == "__main__":
    routes = Path("/proc/net/route").read_text().splitlines()[1:]
    assert not routes, f"there is a way out: {routes}"
    scan, cache, folder = map(Path, sys.argv[1:])
    for name in ("image", "work"):
        (folder / name).mkdir(parents=True)
    spec = BuilderSpec("openstack", 2000, 1024, formats=("raw",), offline=True)
    made = Openstack().build(scan, spec, folder / "image", folder / "work", cache, Silent())
    print(made.base_from_cache)
