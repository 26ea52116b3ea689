"""The one place that runs diskimage-builder: a prepared folder in, a raw base disk out."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from builders.archive import PackageId, write_stanza
from builders.epoch import source_date
from builders.errors import BuildFailed, DiskFull
from builders.room import why_full
from scanner.errors import CommandFailed
from scanner.host.run import stream, tally

ELEMENTS = Path(__file__).parent / "elements"
ELEMENT_NAMES = ("forgelet-debian", "bootloader")
ROOT_LABEL = "forgelet-root"

_SPLIT_USR = frozenset({"bullseye"})
"""Releases that mmdebstrap leaves with a /bin of its own unless told otherwise."""
_STAMP = re.compile(r"^\d{4}-\d\d-\d\d [\d:.]+ \| ")
_TELLING = ("E: ", "dpkg: error", "ERROR", "grub-install: error")
_CONTINUED = "dpkg: error"
"""What is wrong with a package stands in the next line, indented."""

_SEED = """#!/bin/sh
# Give the source's system accounts their numbers before any package asks for them.
set -eu
for table in passwd group shadow gshadow; do
    [ -e "$1/etc/$table" ] || continue
    awk -F: 'NR == FNR { seen[$1]; next } !($1 in seen)' "$1/etc/$table" "{accounts}/$table" > "{accounts}/$table.new"
    cat "{accounts}/$table.new" >> "$1/etc/$table"
done
"""


@dataclass(frozen=True, slots=True)
class BaseRequest:
    """What a base disk is made of; everything that decides its contents."""

    codename: str
    arch: str
    """Debian's name: `amd64`."""
    packages: Sequence[PackageId]
    stanzas: dict[PackageId, dict[str, str]]
    """Index entries of the packages; `Filename` is ignored."""
    debs: dict[PackageId, Path]
    """Where each package's `.deb` lies."""
    accounts: dict[str, str]
    """Contents of `passwd`, `group`, `shadow`, `gshadow` with the source's system accounts."""
    disk_size: int
    """MiB"""
    filesystem: str
    """UUID of the root file system."""
    disk_id: str
    """MBR disk identifier, `0x` and eight hex digits."""
    merged_usr: bool = True
    """Whether /bin, /sbin and /lib are links into /usr; releases after bullseye know no other way."""


def build_base(request: BaseRequest, into: Path, work: Path, log: Callable[[str], None]) -> None:
    """Run disk-image-create; leaves `disk.raw` and `dpkg.log` in `into`.

    `work` takes every temporary tree and mount, so that giving back what lies under it undoes a build that was killed.
    Raises `BuildFailed`, `MissingTool`.
    """
    prepared = _prepare(request, work / "prepared")
    config = work / "block-device.json"
    config.write_text(json.dumps(block_device_config(request)))
    scratch = work / "dib"
    scratch.mkdir(parents=True, exist_ok=True)
    (work / "cache").mkdir(exist_ok=True)
    environment = {
        **settings(request.codename, request.arch),
        "DIB_BLOCK_DEVICE_CONFIG": f"file://{config}",
        "DIB_IMAGE_CACHE": str(work / "cache"),
        "ELEMENTS_PATH": str(ELEMENTS),
        "FORGELET_BASE": str(prepared),
        "TMP_DIR": str(scratch),
        "TMPDIR": str(scratch),
        "USER": os.environ.get("USER", "root"),
        "HOME": os.environ.get("HOME", "/root"),
        "PYTHONWARNINGS": "ignore",
        "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}",
    }
    telling: list[str] = []
    full: list[DiskFull] = []

    def hear(line: str) -> None:
        said = _STAMP.sub("", line)
        if telling and telling[-1].startswith(_CONTINUED) and said.startswith(" "):
            telling[-1] += said
        if said.startswith(_TELLING):
            telling.append(said)
        # Asked at once: what the tool removes when it gives up makes room again.
        if not full and (why := why_full(work, said)):
            full.append(why)
        log(said)

    tally("dib")
    try:
        stream(_command(work / "base"), hear, env=environment, cwd=work)
    except CommandFailed as error:
        if full:
            raise full[0] from error
        cause = telling[0] if telling else error.message
        raise BuildFailed(f"diskimage-builder failed: {cause}", hint="read its whole output: forgelet job log ID") from error
    (work / "base.raw").rename(into / "disk.raw")
    shutil.copyfile(prepared / "out" / "dpkg.log", into / "dpkg.log")


def _command(output: Path) -> list[str]:
    tool = Path(sys.executable).parent / "disk-image-create"
    program = str(tool) if tool.exists() else "disk-image-create"
    return [program, *arguments(str(output))]


def element_files() -> Iterator[tuple[str, Path]]:
    """Every file of the elements that make a base, ours and diskimage-builder's, by its path below the folder of elements."""
    package = find_spec("diskimage_builder")
    theirs = [Path(place) / "elements" for place in (package.submodule_search_locations or ())] if package else []
    for folder in (ELEMENTS, *theirs):
        for name in ELEMENT_NAMES:
            yield from ((str(place.relative_to(folder)), place) for place in sorted((folder / name).rglob("*")) if place.is_file())


def arguments(output: str) -> list[str]:
    """What disk-image-create is called with."""
    return ["-n", "-t", "raw", "--no-tmpfs", "-o", output, *ELEMENT_NAMES]


def settings(codename: str, arch: str) -> dict[str, str]:
    """The environment that decides about the image; folders come on top."""
    return {
        "ARCH": arch,
        "DIB_RELEASE": codename,
        "SOURCE_DATE_EPOCH": str(source_date()),
        "DIB_CHECKSUM": "0",
        "DIB_JOURNAL_SIZE": "16",
        "DIB_GRUB_TIMEOUT": "0",
        "DIB_BOOTLOADER_DEFAULT_CMDLINE": "net.ifnames=1",
    }


def block_device_config(request: BaseRequest) -> list[dict[str, object]]:
    """One bootable primary partition over the whole disk of exactly the asked size."""
    # The order in which folders are read follows a seed, which would be random. Without metadata_csum_seed the UUID cannot change later; 256-byte inodes keep nanosecond times.
    root = {
        "name": "mkfs_root",
        "type": "ext4",
        "label": ROOT_LABEL,
        "uuid": request.filesystem,
        "opts": f"-b 4096 -I 256 -i 8192 -J size=16 -m 1 -E hash_seed={request.filesystem}",
        "mount": {"mount_point": "/", "fstab": {"options": "defaults", "fsck-passno": 1}},
    }
    return [
        {"local_loop": {"name": "image0", "size": f"{request.disk_size}MiB"}},
        {
            "forgelet_mbr": {
                "base": "image0",
                "name": "mbr",
                "disk_id": request.disk_id,
                "partitions": [{"name": "root", "boot": True, "mkfs": root}],
            }
        },
    ]


def _prepare(request: BaseRequest, folder: Path) -> Path:
    repository, accounts, out = folder / "repository", folder / "accounts", folder / "out"
    for each in (repository, accounts, out):
        each.mkdir(parents=True)
    index = []
    for package in request.packages:
        # Not apt's own file names: its copy method does not undo the %3a of an epoch.
        name = f"{package.name}_{package.arch}.deb"
        link(request.debs[package], repository / name)
        index.append(write_stanza({**request.stanzas[package], "Filename": f"./{name}"}))
    (repository / "Packages").write_text("".join(index))
    (repository / "Release").write_text(_release(request.codename, "".join(index).encode()))
    (folder / "packages").write_text("".join(f"{p.name}:{_native(p, request.arch)}\n" for p in request.packages))
    (folder / "architectures").write_text(",".join(dict.fromkeys([request.arch, *sorted(_native(p, request.arch) for p in request.packages)])))
    (folder / "codename").write_text(request.codename)
    if request.merged_usr and request.codename in _SPLIT_USR:
        (folder / "merge-usr").touch()
    for table, lines in request.accounts.items():
        (accounts / table).write_text(lines)
    hook = folder / "essential-hook"
    hook.write_text(_SEED.replace("{accounts}", str(accounts)))
    hook.chmod(0o755)
    return folder


def _release(codename: str, packages: bytes) -> str:
    # mmdebstrap finds the essential packages by the release's name, and apt reads only what a Release file lists.
    digest = f" {hashlib.sha256(packages).hexdigest()} {len(packages)} Packages"
    return f"Origin: Forgelet\nSuite: {codename}\nCodename: {codename}\nSHA256:\n{digest}\n"


def _native(package: PackageId, arch: str) -> str:
    # apt addresses a package of architecture "all" by the native architecture.
    return arch if package.arch == "all" else package.arch


def link(source: Path, target: Path) -> None:
    """The same file under another name; a copy where the folders lie on two file systems."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)

