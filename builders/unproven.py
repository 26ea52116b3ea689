"""Systems whose repositories were never in reach here: what diskimage-builder would be told, made and checked as far as that goes.

The generated element installs the source's packages at their exact versions and gives its accounts their numbers first. That such a
build succeeds was never seen, so none is started.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from dataclasses import dataclass

from builders.image import Addition
from builders.rehearsal import ImageBuilder
from builders.spec import BuilderSpec
from scanner.report import Package, ScanReport

ELEMENT = "forgelet-source"
_SYSTEM_IDS = range(1, 1000)


@dataclass(frozen=True, slots=True)
class Family:
    """One kind of distribution: diskimage-builder's element for it, and how its package manager names an exact version."""

    element: str
    release: Callable[[ScanReport], str]
    exact: Callable[[Package], str]
    added: dict[str, str]


def _major(head: ScanReport) -> str:
    return head.system.version.partition(".")[0]


def _apt(package: Package) -> str:
    name = package.name if package.arch in ("all", "amd64") else f"{package.name}:{package.arch}"
    return f"{name}={package.version}"


def _rpm(package: Package) -> str:
    # dnf takes NEVRA: the epoch comes before the version, after the name.
    return f"{package.name}-{package.version}.{package.arch}"


def _zypper(package: Package) -> str:
    return f"{package.name}.{package.arch}={package.version}"


_BOTH = {
    "cloud-init": "OpenStack hands keys, host name and user data to it",
    "qemu-guest-agent": "the cloud (and Forgelet's proof) asks the running machine through it",
}
_APT = {
    "linux-image-generic": "a container has no kernel",
    "initramfs-tools": "the kernel needs an initial root file system to find its disk",
    "grub-pc": "a BIOS machine starts from the disk's boot sector",
    "systemd-sysv": "a machine needs an init system",
    "cloud-guest-utils": "cloud-init grows the root partition to the flavor's disk with it",
    **_BOTH,
}
_DNF = {
    "kernel": "a container has no kernel",
    "dracut": "the kernel needs an initial root file system to find its disk",
    "grub2-pc": "a BIOS machine starts from the disk's boot sector",
    "systemd": "a machine needs an init system",
    "cloud-utils-growpart": "cloud-init grows the root partition to the flavor's disk with it",
    **_BOTH,
}
_SUSE = {**{name: reason for name, reason in _DNF.items() if name not in ("kernel", "grub2-pc", "cloud-utils-growpart")}, "kernel-default": _DNF["kernel"], "grub2-i386-pc": _DNF["grub2-pc"], "growpart": _DNF["cloud-utils-growpart"]}

_KERNELS = frozenset({"linux-image-generic", "kernel", "kernel-default"})

FAMILIES: dict[str, Family] = {
    "ubuntu": Family("ubuntu-minimal", lambda head: head.system.codename, _apt, _APT),
    "centos": Family("centos-minimal", lambda head: f"{_major(head)}-stream" if _major(head) != "7" else "7", _rpm, _DNF),
    "rhel": Family("rhel", _major, _rpm, _DNF),
    "rocky": Family("rocky-container", _major, _rpm, _DNF),
    "almalinux": Family("almalinux-container", _major, _rpm, _DNF),
    "fedora": Family("fedora-container", _major, _rpm, _DNF),
    "opensuse-leap": Family("opensuse-minimal", lambda head: head.system.version, _zypper, _SUSE),
    "opensuse-tumbleweed": Family("opensuse-minimal", lambda head: "tumbleweed", _zypper, _SUSE),
}
"""os-release's ID -> family."""


def family_of(head: ScanReport) -> Family | None:
    return FAMILIES.get(head.system.os_release.get("ID", ""))


def additions_of(head: ScanReport, family: Family) -> list[Addition]:
    """What would be added, each with its reason."""
    present = {package.name for package in head.packages if package.status == "installed"}
    has_kernel = any(name.startswith(("linux-image-", "kernel-core", "kernel-default")) for name in present)
    return [Addition(item=name, reason=reason) for name, reason in family.added.items() if name not in present and not (has_kernel and name in _KERNELS)]


def image_builder(head: ScanReport, spec: BuilderSpec, family: Family) -> ImageBuilder:
    """Elements, arguments, environment, and the files of the generated element."""
    elements = [family.element, "bootloader", "block-device-mbr", ELEMENT]
    release = family.release(head)
    return ImageBuilder(
        elements=elements,
        arguments=["-n", "-t", "raw", "--no-tmpfs", "--image-size", str(max(1, -(-spec.disk_size // 1024))), "-o", "base", *elements],
        environment={"ARCH": "amd64", "DIB_RELEASE": release, "DIB_CHECKSUM": "0", "DIB_GRUB_TIMEOUT": "0", "DIB_JOURNAL_SIZE": "16"},
        files=_element(head, family, release),
    )


def _element(head: ScanReport, family: Family, release: str) -> dict[str, str]:
    installed = [package for package in head.packages if package.status == "installed" and package.name != "gpg-pubkey"]
    exact = [shlex.quote(family.exact(package)) for package in sorted(installed, key=lambda one: (one.name, one.arch))]
    added = {addition.item: None for addition in additions_of(head, family)}
    return {
        f"{ELEMENT}/element-deps": "package-installs\n",
        f"{ELEMENT}/environment.d/10-forgelet-source.bash": f"export DIB_RELEASE={shlex.quote(release)}\n",
        f"{ELEMENT}/package-installs.json": json.dumps(added, indent=1) + "\n",
        f"{ELEMENT}/pre-install.d/05-forgelet-accounts": _script("The source's system accounts get their numbers before packages ask for them.", _accounts(head)),
        f"{ELEMENT}/install.d/50-forgelet-versions": _script("The source's packages, at its versions.", ["install-packages " + " \\\n    ".join(exact)] if exact else []),
    }


def _accounts(head: ScanReport) -> list[str]:
    groups = [f"getent group {shlex.quote(one.name)} > /dev/null || groupadd --system --gid {one.gid} {shlex.quote(one.name)}" for one in head.groups if one.gid in _SYSTEM_IDS]
    users = [
        f"getent passwd {shlex.quote(one.name)} > /dev/null || useradd --system --uid {one.uid} --gid {one.gid} --home-dir {shlex.quote(one.home or '/')} "
        f"--no-create-home --shell {shlex.quote(one.shell or '/bin/false')} {shlex.quote(one.name)}"
        for one in head.users
        if one.uid in _SYSTEM_IDS
    ]
    return [*groups, *users]


def _script(what: str, lines: list[str]) -> str:
    return "\n".join(["#!/bin/bash", f"# {what}", "set -eu", "set -o pipefail", *lines, ""])
