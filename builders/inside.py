"""Programs of the image, run in it: the image is their root, and no device of this machine is in reach but the image's own disk."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

_INSIDE = """\
set -e
root=$1 name=$2 device=$3
shift 3
mount -t tmpfs -o mode=755 dev "$root/dev"
for node in 'null c 1 3' 'zero c 1 5' 'full c 1 7' 'random c 1 8' 'urandom c 1 9'; do mknod -m 666 "$root/dev/"$node; done
mknod -m 600 "$root/dev/disk" b ${device%:*} ${device#*:}
ln -s disk "$root/dev/$name"
ln -s /proc/self/fd "$root/dev/fd"
mount --rbind /proc "$root/proc"
exec chroot "$root" "$@"
"""
"""This machine's devices are not in reach. The disk has a name that GRUB takes for no loop device: it would look for the file behind one."""


def has(root: Path, program: str) -> bool:
    """Whether the image has this program of the administrator's."""
    return any((root / folder / program).exists() for folder in ("usr/sbin", "sbin") if not (root / folder).is_symlink())


def run(root: Path, epoch: int, *argv: str) -> None:
    """Run a program of the image with the image as its root, in mounts of its own; `epoch`: the moment that what it writes is of, seconds since 1970.

    Raises SystemExit with what it said.
    """
    info = root.stat().st_dev
    device = f"{os.major(info)}:{os.minor(info)}"
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "SOURCE_DATE_EPOCH": str(epoch), "FORGELET_BUILDS": "yes"}
    words = ["unshare", "--mount", "--propagation", "private", "sh", "-c", _INSIDE, "inside", str(root), _name(device), device, *argv]
    done = subprocess.run(words, env=environment, stdin=subprocess.DEVNULL, text=True, capture_output=True, check=False)
    if done.returncode:
        raise SystemExit(f"{argv[0]} failed in the image: {(done.stderr or done.stdout).strip()[-500:]}")


def _name(device: str) -> str:
    """What this machine calls the device with these numbers. Source: sysfs, /sys/dev/block."""
    return os.path.realpath(f"/sys/dev/block/{device}").rpartition("/")[2]
