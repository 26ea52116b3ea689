"""What a machine must have, as data: read by `forgelet doctor`, and by scripts/install.sh before anything is installed.

So this file needs nothing but a Python of the standard library: `python3 emulator/prerequisites.py` prints the Debian packages, a line each.
"""

from __future__ import annotations

from dataclasses import dataclass

PYTHON = (3, 11)
"""The oldest Python that Forgelet runs on."""
DISK_GIB = 10
"""Free space that the data folder wants: a cached base disk, an image, a throw-away copy, a package pool."""


@dataclass(frozen=True)
class Program:
    """A program of this machine. Without a `needed` one the main job cannot run; the others are extras."""

    name: str
    packages: tuple[str, ...]
    why: str
    needed: bool = True


PROGRAMS = (
    Program(
        "mmdebstrap", ("mmdebstrap", "debian-archive-keyring"), "builds live systems and base systems from packages"
    ),
    Program("dpkg-deb", ("dpkg",), "takes packages apart and makes them again"),
    Program("sudo", ("sudo",), "diskimage-builder calls it for every privileged step, root or not"),
    Program("sfdisk", ("fdisk",), "writes and reads partition tables"),
    Program("losetup", ("mount", "util-linux"), "gives a partition of a disk file a device"),
    Program("mkfs.ext4", ("e2fsprogs",), "makes the image's file system"),
    Program("qemu-img", ("qemu-utils",), "converts disks"),
    Program("qemu-system-x86_64", ("qemu-system-x86",), "boots images"),
    Program(
        "qemu-storage-daemon", ("qemu-system-common",), "shows a qcow2 to the host as a raw file, through /dev/fuse"
    ),
    Program("setfacl", ("acl",), "the lab and the tests look at ACLs with it", needed=False),
    Program("getfattr", ("attr",), "the lab and the tests look at extended attributes with it", needed=False),
    Program("rpmbuild", ("rpm",), "the tests make an rpm system of packages that they build", needed=False),
    Program("db5.3_load", ("db5.3-util",), "the tests make an rpm database of the older format with it", needed=False),
    Program("gpg", ("gpg",), "the tests look at fingerprints with it", needed=False),
    Program("getcap", ("libcap2-bin",), "the lab and the tests look at file capabilities with it", needed=False),
)

DOCKER_PACKAGES = ("docker.io",)
LIBVIRT_PACKAGES = ("libvirt-daemon-system", "libvirt-daemon-driver-qemu", "libvirt-clients")
BUILD_PACKAGES = ("gcc", "libc6-dev", "pkg-config", "libvirt-dev", "python3-dev")
"""libvirt-python is compiled when it is installed."""
SCRIPT_PACKAGES = ("ca-certificates", "make", "procps", "curl")
"""What the Makefile and its scripts call."""
TEST_PACKAGES = ("xkb-data",)
"""Whose list of keyboards the tests hold ours against."""


def packages() -> list[str]:
    """Every Debian package that the main job, the lab and the tests need, once."""
    wanted = [name for program in PROGRAMS for name in program.packages]
    return sorted({*wanted, *DOCKER_PACKAGES, *LIBVIRT_PACKAGES, *BUILD_PACKAGES, *SCRIPT_PACKAGES, *TEST_PACKAGES})


if __name__ == "__main__":
    print("\n".join(packages()))
