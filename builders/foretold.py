"""What a source's report alone says of a build of it, as points of a rehearsal; no repository is asked."""

from __future__ import annotations

import os
from collections.abc import Iterator

from builders.accountclashes import clashes
from builders.bootable import OWN_MANAGERS
from builders.rehearsal import Point, Weight, point
from builders.spec import BuilderSpec
from builders.startup import GRUB_FILE, brought, disk_words
from builders.translate import names_disk
from scanner.agent.tree import printable
from scanner.report import Report, ScanReport, State

AGAIN = "scan again with --overlay: forgelet scan run --overlay"


def told(report: Report) -> Iterator[Point]:
    """Every point that is the same for every builder. Raises `HostileInput` when the scan is damaged."""
    head = report.head
    # Of others neither the numbers of a new system nor the places of GRUB's settings are known here.
    debian = any(package.manager == "dpkg" for package in head.packages)
    yield from _unfinished(head)
    yield from _accounts(head) if debian else ()
    yield from _disks(head)
    yield from _encrypted(head)
    yield from _startup(report) if debian else ()
    yield from _firmware(head)
    yield from _simple(report)
    yield from _redacted(head)
    yield from _blind(head)


def interfaces(head: ScanReport, spec: BuilderSpec) -> Iterator[Point]:
    rows = [row for row in head.configuration.connections if row.interface and row.interface != "lo" and not set("*?[") & set(row.interface)]
    told = [f"{row.interface} ({', '.join(row.addresses) or ('DHCP' if row.dhcp else 'no address')}) in {row.file}" for row in rows if not row.file.startswith("/usr/")]
    live = [name for name in head.network.get("interfaces", []) if name not in ("lo", "docker0") and not name.startswith(("veth", "br-"))]
    names = {package.name for package in head.packages}
    if told and spec.network == "keep":
        yield point("interface-names", Weight.CONDITION, "files name interfaces; the new machine's are called by their slots (ens3, enp1s0), and the files stay as they are", told, "leave `network: keep` away for DHCP")
    elif told and names & OWN_MANAGERS:
        yield point("interface-names", Weight.CONDITION, f"files of {', '.join(sorted(names & OWN_MANAGERS))} name interfaces that the new machine does not have", told, "the manager takes DHCP for what no file names")
    elif told:
        yield point("interface-names", Weight.CONDITION, "the network is translated: DHCP on every wired interface, whatever it is called", told, "`network: keep` leaves the files as they are")
    elif live:
        yield point("interface-names", Weight.NOTE, "the new machine's interfaces are called by their slots (ens3, enp1s0); no file names the source's", live)


def _unfinished(head: ScanReport) -> Iterator[Point]:
    # Neither what it has of such a package nor what it still means to do with it can be installed again.
    whole = {"installed", "config-files"}
    rows = [f"{one.name} {one.version}: {one.flag or one.status}" for one in head.packages if one.manager == "dpkg" and (one.flag or one.status not in whole)]
    if rows:
        what = f"dpkg on the source is not done with {len(rows)} packages: {', '.join(rows[:3])}{' …' if len(rows) > 3 else ''}"
        yield point("packages-unfinished", Weight.BLOCKS, what, rows, "on the source: dpkg --configure -a, then apt -f install; then scan again")


def _accounts(head: ScanReport) -> Iterator[Point]:
    if rows := list(clashes(head)):
        yield point("uid-clash", Weight.CONDITION, "accounts of the source clash with those of added packages", rows, "nothing: the source's numbers win, and files of added packages move")


def _disks(head: ScanReport) -> Iterator[Point]:
    rows = [f"{row.source} at {row.path} ({row.type})" for row in head.configuration.file_systems if row.path != "/" and names_disk(row.source)]
    if rows:
        yield point("file-systems", Weight.CONDITION, "fstab names disks that the new machine does not have: their contents come in one file system, the lines stay as comments", rows, "nothing, unless the machine needs swap or disks of its own")


def _encrypted(head: ScanReport) -> Iterator[Point]:
    rows = [f"{row.key}: {row.value}" for row in head.configuration.settings if row.area == "crypt" and names_disk(row.value)]
    if rows:
        yield point("encrypted-disks", Weight.CONDITION, "crypttab names disks that the new machine does not have: their contents come unencrypted in one file system, the lines stay as comments", rows, "encrypt the volumes of the cloud, if that is asked for")


def _startup(report: Report) -> Iterator[Point]:
    """What the source's own settings and modules make of the boot."""
    if not report.head.overlay:
        return
    found, settings = brought(report), [row for row in report.head.configuration.settings if row.area == "cmdline" and row.file.startswith("/etc/default/grub")]
    if found.grub and found.lacking:
        yield point("boot-settings", Weight.CONDITION, "GRUB's menu cannot be made of the source's settings: scripts that make it are not there or cannot be run; it stays as a fresh machine has it", [printable(os.fsencode(path)) for path in found.lacking], "put them back on the source (apt-get install --reinstall grub-common), and scan again")
    elif words := disk_words(row.value for row in settings):
        yield point("boot-settings", Weight.CONDITION, "GRUB's settings name disks of the source: these words are left out, all others come along", words, f"nothing: {GRUB_FILE} says what the new disk needs")
    elif found.grub:
        yield point("boot-settings", Weight.NOTE, f"GRUB's settings come along; what the new disk needs is read after them ({GRUB_FILE})", [printable(os.fsencode(path)) for path in found.grub])
    packaged = {package.name.removeprefix("linux-image-") for package in report.head.packages if package.status == "installed"}
    for kernel, modules in sorted(found.modules.items()):
        rows = [printable(os.fsencode(path)) for path in modules]
        if kernel in packaged:
            yield point("kernel-modules", Weight.NOTE, f"{len(rows)} modules of kernel {kernel} are not as a package ships them: they come along, index and initramfs are made again", rows)
        else:
            yield point("kernel-modules", Weight.CONDITION, f"{len(rows)} modules are for kernel {kernel}, which no package of the source is: the new machine does not start it", rows, "build them for the new machine's kernel (dkms autoinstall)")
    if found.kernels:
        rows = [printable(os.fsencode(path)) for path in found.kernels]
        yield point("unpackaged-kernel", Weight.CONDITION, f"{len(rows)} kernels belong to no package and stay on the source: the machine starts by those of its packages", rows, "make a package of them on the source (make bindeb-pkg), and scan again")


def _firmware(head: ScanReport) -> Iterator[Point]:
    efi = [package.name for package in head.packages if package.name.startswith("grub-efi-amd64")]
    if (head.system.machine and head.system.machine.firmware == "efi") or "grub-efi-amd64" in efi:
        yield point("firmware", Weight.CONDITION, "the source starts by EFI, the image starts by BIOS", efi, "give the cloud's image the property hw_firmware_type=bios")


def _simple(report: Report) -> Iterator[Point]:
    if report.head.overlay:
        return
    changed = (State.UNMANAGED, State.CONFFILE_CHANGED, State.MANAGED_CHANGED)
    rows = [printable(entry.raw) for entry in report.files() if entry.state in changed]
    yield point("simple-scan", Weight.CONDITION, f"the scan is a simple one: {len(rows)} paths outside packages cannot be brought, and every account is locked", rows, AGAIN)


def _redacted(head: ScanReport) -> Iterator[Point]:
    if head.redacted:
        rows = [f"{one.path} ({one.secret})" for one in head.redacted]
        yield point("secrets-redacted", Weight.CONDITION, f"{len(rows)} secrets stayed on the source", rows, "supply them when the machine starts, or scan again without --redact")


def _blind(head: ScanReport) -> Iterator[Point]:
    if head.blind_spots:
        rows = [f"{one.path}: {one.reason}" for one in head.blind_spots]
        yield point("blind-spots", Weight.CONDITION, f"the scan could not read {len(rows)} paths", rows, "scan again with the rights to read them")
