"""The closed list of what Forgelet adds so that a migrated system boots as a machine of a cloud, each entry with its reason."""

from __future__ import annotations

from collections.abc import Set

from builders.image import Addition

ADDED: dict[str, str] = {
    "linux-image-amd64": "a container has no kernel",
    "initramfs-tools": "the kernel needs an initial root file system to find its disk",
    "grub-pc": "a BIOS machine starts from the disk's boot sector",
    "systemd-sysv": "a machine needs an init system",
    "udev": "devices must be found at boot",
    "dbus": "systemd's own tools speak over it",
    "e2fsprogs": "the root file system is ext4: checked and grown at boot",
    "cloud-init": "OpenStack hands keys, host name and user data to it",
    "cloud-guest-utils": "cloud-init grows the root partition to the flavor's disk with it",
    "qemu-guest-agent": "the cloud (and Forgelet's proof) asks the running machine through it",
    "systemd-resolved": "names are resolved with what DHCP says",
}
"""Packages that Forgelet asks for; only those that the source lacks are added."""

BOOTS = ("linux-image-amd64", "grub-pc")
"""Without one of each, from the source or in reach, nothing starts."""

_LACKING = {"bullseye": frozenset({"systemd-resolved"})}
"""What a release does not have as a package of its own (there it is part of systemd)."""

_INSTEAD = {
    "initramfs-tools": frozenset({"dracut", "tiny-initramfs"}),
    "systemd-resolved": frozenset({"resolvconf", "openresolv"}),
}
"""Package -> those of the source that do its work, and exclude it."""

_OTHER_GRUBS = frozenset({"grub-efi-amd64", "grub-cloud-amd64", "grub-efi-ia32", "grub-coreboot"})


def additions(codename: str, present: Set[str]) -> list[Addition]:
    """What a source of that release with the packages `present` lacks, in the list's order."""
    made = []
    for name, reason in ADDED.items():
        if name in present or name in _LACKING.get(codename, ()) or present & _INSTEAD.get(name, frozenset()):
            continue
        if name == "linux-image-amd64" and has_kernel(present):
            continue
        if name == "grub-pc" and present & _OTHER_GRUBS:
            # grub-pc and these exclude each other; the boot sector is written with what both need.
            if "grub-pc-bin" in present:
                continue
            name = "grub-pc-bin"
        made.append(Addition(item=name, reason=reason))
    return made


def has_kernel(present: Set[str]) -> bool:
    """Whether one of the packages is a kernel's image."""
    return any(name.startswith("linux-image-") and not name.endswith(("-dbg", "-unsigned-dbg")) for name in present)
