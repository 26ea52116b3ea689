"""A build against what it stands on, in one run (`python -m bench.build`; root, Docker, some ten minutes):

- cold, of a plain server with openssh: against a plain `disk-image-create` of the same packages, nothing cached in either. Ours is built
  twice, each time from nothing, and both disks must have the same tree, partition table and UUIDs;
- with only the overlay changed: against an untar of the same tree into a fresh ext4 and `qemu-img convert`.

Ours does everything that a build does: plan, packages, last pass, checks. Goals: 1.10 and 1.00.
"""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.support import root_only, stopwatch, tell
from builders import canonical, dib
from builders.archive import Archive
from builders.capture import chooser
from builders.image import Image
from builders.platforms.openstack import Openstack
from builders.spec import BuilderSpec
from emulator.local import lab_down, lab_up
from scanner.host.disks import root_of
from scanner.progress import Silent
from scanner.scan import scan
from scanner.targets import open_target

NAME = "forgelet-bench"
SYSTEM = "hammr-debian12"
DISK = 2000
"""MiB"""
ROUNDS = 3


def main() -> None:
    root_only()
    lab_up(SYSTEM, tell, name=NAME)
    try:
        # On a disk, as builds are; not where a file system in memory may lie.
        with tempfile.TemporaryDirectory(prefix="forgelet-bench-", dir="/var/tmp") as place:
            _run(Path(place))
    finally:
        lab_down(NAME)


def _run(place: Path) -> None:
    cache = place / "cache"
    first = _scan(place / "first", cache)
    with stopwatch() as ours:
        made = _build(first, place / "cold", cache)
    assert not made.base_from_cache
    with stopwatch() as plain:
        _plain(place / "plain", [row.split(" ")[0] for row in made.provenance["packages"]])
    with stopwatch() as once_more:
        _build(first, place / "once-more", place / "empty")
    _told("cold build", min(ours(), once_more()), "disk-image-create", plain(), 1.1)
    assert _identity(place / "cold", place / "look-1") == _identity(place / "once-more", place / "look-2"), "two builds from nothing differ"
    tree = _tree(place / "cold", place)
    warm, floor = [], []
    for number in range(ROUNDS):
        subprocess.run(["docker", "exec", NAME, "sh", "-c", f"echo {number} > /etc/bench"], check=True)
        again = _scan(place / f"again{number}", cache)
        with stopwatch() as ours:
            assert _build(again, place / f"warm{number}", cache).base_from_cache
        with stopwatch() as untar:
            _untar(tree, place / f"untar{number}")
        warm.append(ours())
        floor.append(untar())
    _told("overlay changed", min(warm), "untar and convert", min(floor), 1.0)


def _told(what: str, ours: float, against: str, theirs: float, goal: float) -> None:
    tell(f"build: {what}")
    tell(f"  {against:<20} {theirs:7.2f} s")
    tell(f"  {'forgelet':<20} {ours:7.2f} s   ratio {ours / theirs:.2f} (goal {goal:.2f})")


def _scan(folder: Path, cache: Path) -> Path:
    scan(open_target(f"docker:{NAME}"), folder, Silent(), choose=chooser(cache))
    return folder


def _build(report: Path, place: Path, cache: Path) -> Image:
    for name in ("image", "work"):
        (place / name).mkdir(parents=True)
    return Openstack().build(report, BuilderSpec("openstack", DISK, 1024), place / "image", place / "work", cache, Silent())


def _plain(place: Path, packages: list[str]) -> None:
    """diskimage-builder's own debian-minimal with the same packages, partitioned as this machine can, and converted as ours is."""
    place.mkdir()
    mirrors = Archive("bookworm", "amd64", place / "none").sources().split("\n")
    archive, security = (line.split("] ")[1].split(" ")[0] for line in (mirrors[0], mirrors[2]))
    request = dib.BaseRequest("bookworm", "amd64", [], {}, {}, {}, DISK, "0b0b0b0b-0000-4000-8000-00000000000b", "0x1234abcd")
    (place / "block.json").write_text(json.dumps(dib.block_device_config(request)))
    environment = {
        **os.environ,
        **dib.settings("bookworm", "amd64"),
        "DIB_BLOCK_DEVICE_CONFIG": f"file://{place / 'block.json'}",
        "DIB_BLOCK_DEVICE": "mbr",
        "DIB_DISTRIBUTION_MIRROR": archive,
        "DIB_DEBIAN_SECURITY_MIRROR": security,
        "DIB_IMAGE_CACHE": str(place / "cache"),
        "TMP_DIR": str(place),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    argv = ["disk-image-create", "-t", "raw", "--no-tmpfs", "-o", str(place / "disk"), "-p", ",".join(packages), "block-device-mbr", "debian-minimal", "bootloader"]
    with (place / "log").open("wb") as log, _node_kept(Path("/dev/kvm")):
        if subprocess.run(argv, env=environment, stdout=log, stderr=log, cwd=place, check=False).returncode:
            sys.exit("disk-image-create failed:\n" + "\n".join((place / "log").read_text(errors="replace").splitlines()[-15:]))
    _convert(place / "disk.raw", place / "disk.qcow2")


@contextmanager
def _node_kept(node: Path) -> Iterator[None]:
    """The peer's chroot shares this machine's /dev, and a package's script in it gives the node to the chroot's own group."""
    before = node.stat() if node.exists() else None
    try:
        yield
    finally:
        if before is not None:
            os.chown(node, before.st_uid, before.st_gid)
            node.chmod(stat.S_IMODE(before.st_mode))


def _convert(raw: Path, qcow2: Path) -> None:
    subprocess.run(["qemu-img", "convert", "-W", "-m", "4", "-c", "-o", "compression_type=zstd", "-f", "raw", "-O", "qcow2", str(raw), str(qcow2)], check=True)


def _identity(made: Path, work: Path) -> tuple[str, ...]:
    """The digest of the image's tree, its partition table, the UUID of its file system; the last two as tools that are not ours tell them."""
    work.mkdir()
    disk = work / "disk"
    subprocess.run(["qemu-img", "convert", "-O", "raw", str(made / "image" / "image.qcow2"), str(disk)], check=True)
    with root_of(disk, "raw", work) as root:
        tree = canonical.digest(root)
    table = ["sfdisk", "--dump", str(disk)], ["blkid", "--probe", "--offset", str(1 << 20), "--output", "export", str(disk)]
    told = (subprocess.run(argv, capture_output=True, text=True, check=True).stdout.replace(str(disk), "DISK") for argv in table)
    return tree, *told


def _tree(made: Path, place: Path) -> Path:
    """The image's own tree as an archive."""
    tar, work = place / "tree.tar", place / "look"
    work.mkdir()
    with root_of(made / "image" / "image.qcow2", "qcow2", work) as root:
        subprocess.run(["tar", "--xattrs", "--acls", "--numeric-owner", "-C", str(root), "-cf", str(tar), "."], check=True)
    return tar


def _untar(tree: Path, place: Path) -> None:
    place.mkdir()
    disk, at = place / "disk.raw", place / "root"
    at.mkdir()
    with disk.open("wb") as out:
        out.truncate(DISK << 20)
    subprocess.run(["sfdisk", "-q", str(disk)], input=b"label: dos\nstart=2048, type=83, bootable\n", check=True)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-E", f"offset={1 << 20}", str(disk), f"{(DISK - 1) << 10}k"], check=True)
    subprocess.run(["mount", "-o", f"loop,offset={1 << 20}", str(disk), str(at)], check=True)
    try:
        subprocess.run(["tar", "--xattrs", "--acls", "--numeric-owner", "-C", str(at), "-xf", str(tree)], check=True)
    finally:
        subprocess.run(["umount", str(at)], check=True)
    _convert(disk, place / "disk.qcow2")


if __name__ == "__main__":
    main()
