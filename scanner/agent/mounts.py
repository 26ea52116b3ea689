"""Which paths below a root are other file systems mounted there (bind mounts of single files included).

`st_dev` alone cannot tell: overlayfs gives files of layers on different file systems different numbers, and a bind mount from the
same file system has the same one. The kernel's mount table (proc(5), mountinfo) and mount ids (fdinfo) can.
"""

import os
import re
from typing import Dict, List, Optional

DISKS = (b"ext2", b"ext3", b"ext4", b"xfs", b"btrfs", b"vfat")
"""File systems of a machine's own partitions: /boot, /home, /boot/efi …"""
PROCESS_ROOT = re.compile(rb"^(/proc/[0-9]+)/root/*$")


def process_folder(root: bytes) -> Optional[bytes]:
    """`/proc/PID` when `root` is the root of a running process, `/proc/self` for `/` itself, else None."""
    if root.strip(b"/") == b"":
        return b"/proc/self"
    match = PROCESS_ROOT.match(root)
    return match.group(1) if match else None


def mounts(root: bytes) -> Dict[bytes, Dict[str, bytes]]:
    """Mount point inside the root -> `type` and `source`. Empty where there is no mount table to read."""
    process = process_folder(root)
    prefix = b"" if process else os.path.realpath(root).rstrip(b"/")
    found: Dict[bytes, Dict[str, bytes]] = {}
    for fields in _table((process or b"/proc/self") + b"/mountinfo"):
        point = _unescaped(fields[4])
        if point.startswith(prefix + b"/") and point != prefix + b"/":
            dash = fields.index(b"-")
            found[point[len(prefix) :]] = {"type": fields[dash + 1], "source": _unescaped(fields[dash + 2])}
    return found


def own_disks(root: bytes) -> List[bytes]:
    """Mount points of the running machine's own partitions. Pseudo and remote file systems, loop devices and bind mounts are none.

    Only of `/` itself: what is mounted inside a container is a volume, and is asked for by name.
    """
    if process_folder(root) != b"/proc/self":
        return []
    return _partitions(_table(b"/proc/self/mountinfo"))


def _partitions(table: List[List[bytes]]) -> List[bytes]:
    found: List[bytes] = []
    # Device and, where there are subvolumes, the mounted one: a second mount of the same, or of a folder in it, is a bind mount.
    seen = [(fields[2], fields[3]) for fields in table if fields[4] == b"/"]
    for fields in table:
        kind, source = fields[fields.index(b"-") + 1 : fields.index(b"-") + 3]
        real = kind in DISKS and source.startswith(b"/dev/") and not source.startswith(b"/dev/loop")
        whole = fields[3] == b"/" or kind == b"btrfs"
        if real and whole and not any(_within(fields, device, top) for device, top in seen):
            seen.append((fields[2], fields[3]))
            found.append(_unescaped(fields[4]))
    return found


def _within(fields: List[bytes], device: bytes, top: bytes) -> bool:
    return fields[2] == device and (fields[3] + b"/").startswith(top.rstrip(b"/") + b"/")


def _table(path: bytes) -> List[List[bytes]]:
    try:
        with open(path, "rb") as table:
            return [line.split() for line in table]
    except OSError:
        return []


def _unescaped(field: bytes) -> bytes:
    return re.sub(rb"\\([0-7]{3})", lambda match: bytes([int(match.group(1), 8)]), field)


def mount_id(fd: int) -> Optional[int]:
    """The id of the mount that an open file is on (fdinfo, Linux 3.15); None where it cannot be told."""
    try:
        with open("/proc/self/fdinfo/%d" % fd, "rb") as info:
            for line in info:
                if line.startswith(b"mnt_id:"):
                    return int(line.split()[1])
    except (OSError, ValueError):
        pass
    return None
