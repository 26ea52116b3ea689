"""The same chain by the real hammr: it builds from the scan (the base disk is in the cache by then), downloads and deletes."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support.bench import Bench
from support.hammr import Hammr, install

pytestmark = [pytest.mark.e2e, pytest.mark.docker, pytest.mark.libvirt, pytest.mark.dib, pytest.mark.hammr]

BUILDERS = """---
builders:
- type: OpenStack VMDK
  installation: {diskSize: 2000, swapSize: 0}
  hardwareSettings: {memory: 1024}
"""


@pytest.fixture
def hammr(bench: Bench, tmp_path: Path) -> Hammr:
    url = f"{bench.service.origin}/api"
    return Hammr(install(), tmp_path / "home", url, ["-a", url, "-u", "root", "-p", "forgelet"])


@pytest.fixture
def builders(tmp_path: Path) -> Path:
    file = tmp_path / "builders.yml"
    file.write_text(BUILDERS)
    return file


def images(bench: Bench) -> dict[int, dict[str, Any]]:
    return {one["dbId"]: one for one in bench.json("image", "list")["images"]["image"]}


def test_hammr_builds_lists_downloads_and_deletes_an_image(bench: Bench, scan: int, image: int, hammr: Hammr, builders: Path, tmp_path: Path) -> None:
    before = images(bench)
    hammr("scan", "build", "--id", str(scan), "--file", str(builders), timeout=300)
    ((number, made),) = [(number, one) for number, one in images(bench).items() if number not in before]
    assert made["status"]["complete"], made["status"]
    assert (made["targetFormat"]["format"]["name"], made["baseFromCache"]) == ("openstackvmdk", True)
    assert str(number) in [row[0] for row in hammr("image", "list").rows()]
    assert "Debian" in hammr("image", "info", "--id", str(number)).text
    file = tmp_path / "downloaded.vmdk"
    hammr("image", "download", "--id", str(number), "--file", str(file))
    assert hashlib.sha256(file.read_bytes()).hexdigest() == made["files"][0]["sha256"]
    told = json.loads(subprocess.run(["qemu-img", "info", "--output=json", str(file)], capture_output=True, check=True).stdout)
    assert (told["format"], told["virtual-size"]) == ("vmdk", 2000 << 20)
    hammr("image", "delete", "--id", str(number), typed="y\n")
    assert images(bench).keys() == before.keys()
    assert not (bench.data / "images" / str(number)).exists()
