"""rpm's older database format, written by Berkeley DB's own tool in both byte orders."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from support import rpmdb
from support.rpmdb import Shipped

from scanner.progress import Silent
from scanner.scan import scan
from scanner.targets import open_target

FIRST = "VERSION=3\nformat=bytevalue\ntype=hash\ndb_lorder={order}\ndb_pagesize={page}\nHEADER=END\n"


@pytest.mark.parametrize("order", ["1234", "4321"])
@pytest.mark.parametrize("page", [512, 4096])
def test_every_package_and_file_of_the_table_is_known(order: str, page: int, tmp_path: Path) -> None:
    """Headers from a few hundred bytes, within a page, to many overflow pages."""
    files = [[Shipped(f"/usr/share/p{number}/{one}", b"x") for one in range(number * 7)] for number in range(60)]
    blobs = [rpmdb.header(f"p{number}", some) for number, some in enumerate(files)]
    rows = [(0, (60).to_bytes(4, "little")), *enumerate(blobs, 1)]
    text = FIRST.format(order=order, page=page) + "".join(f" {key.to_bytes(4, 'little').hex()}\n {value.hex()}\n" for key, value in rows)
    place = tmp_path / "root/var/lib/rpm"
    place.mkdir(parents=True)
    subprocess.run(["db5.3_load", str(place / "Packages")], input=f"{text}DATA=END\n".encode(), check=True)
    report = scan(open_target(f"directory:{tmp_path}/root"), tmp_path / "scan", Silent())
    assert report.head.blind_spots == []
    assert sorted(one.name for one in report.head.packages) == sorted(f"p{number}" for number in range(60))
    missing = {one.path for one in report.files() if one.state == "missing" and one.type == "file"}
    assert missing == {one.path for some in files for one in some}
