"""What the new disk starts by, made again from what the source brought: GRUB's menu, the kernels' module indexes, their initial file systems.

The source's settings stay as they are. What the new disk needs instead of what they say of the old one stands in a file of Forgelet's
that is read after them. The image's own programs do the work, in a namespace of mounts that goes with them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from builders import inside
from builders.bootable import Tree
from builders.explain import base_wins
from scanner.report import FileEntry, Report, State

MENU = "/boot/grub/grub.cfg"
GRUB_FILE = "/etc/default/grub.d/99-forgelet.cfg"
_DISKS = "root|rootflags|rootfstype|resume|resume_offset|cryptdevice|cryptopts"
DISK_WORD = re.compile(rf"(?<!\S)({_DISKS})=\S*")
"""Words of a kernel's command line that name disks. Source: kernel-parameters, initramfs-tools(7), cryptsetup-initramfs."""
GRUB_SETTINGS = """\
# Forgelet: the root file system of the new disk, and a console that a cloud shows. Words that name the source's disks are left out.
GRUB_DEVICE="LABEL=forgelet-root"
GRUB_DISABLE_LINUX_UUID=true
# Without a screen GRUB waits for ever where it is to draw.
GRUB_TERMINAL="serial console"
GRUB_SERIAL_COMMAND="serial --speed=115200 --unit=0 --word=8 --parity=no --stop=1"
# Nobody sits before it to choose.
case "$GRUB_TIMEOUT" in -*) GRUB_TIMEOUT=5 ;; esac
[ -z "$FORGELET_BUILDS" ] || GRUB_DISABLE_OS_PROBER=true
for forgelet_name in GRUB_CMDLINE_LINUX GRUB_CMDLINE_LINUX_DEFAULT; do
    eval "forgelet_words=\\$$forgelet_name"
    forgelet_words=$(printf ' %s ' "$forgelet_words" | sed -E 's/ +/  /g; s/ ({disks})=[^ ]* / /g; s/ +/ /g; s/^ //; s/ $//')
    eval "$forgelet_name=\\$forgelet_words"
done
case " $GRUB_CMDLINE_LINUX $GRUB_CMDLINE_LINUX_DEFAULT " in
    *" console=ttyS"*) ;;
    *) GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX console=tty0 console=ttyS0,115200 no_timer_check" ;;
esac
""".replace("{disks}", _DISKS)
INITRAMFS_FILE = "/etc/initramfs-tools/conf.d/zz-forgelet"
INITRAMFS_SETTINGS = "# Forgelet: drivers of any machine, and no disk to resume from.\nMODULES=most\nRESUME=none\n"
_GRUB = re.compile(r"/etc/(default/grub(\.d/[^/]+\.cfg)?|grub\.d/[^/]+)")
_MAKERS = ("/etc/grub.d/00_header", "/etc/grub.d/10_linux")
"""Without the first of grub-mkconfig's scripts a menu waits for a person, without the second it names no kernel."""
_EARLY = re.compile(r"/etc/(initramfs-tools/.+|modprobe\.d/[^/]+)")
_MODULE = re.compile(r"(?:/usr)?/lib/modules/([^/]+)/.+\.ko(\.[gx]z|\.zst)?")
_KERNEL = re.compile(r"/boot/vmlinuz-[^/]+")


@dataclass(slots=True)
class Brought:
    """What of the source decides how its machine starts, and is not as its packages ship it: paths."""

    grub: list[str] = field(default_factory=list)
    """What grub-mkconfig(8) reads."""
    lacking: list[str] = field(default_factory=list)
    """What it cannot do without and the source spoilt: the menu stays as the base disk has it."""
    early: list[str] = field(default_factory=list)
    """What goes into every initial file system."""
    modules: dict[str, list[str]] = field(default_factory=dict)
    """Kernel -> modules of it."""
    kernels: list[str] = field(default_factory=list)
    """Kernels that no package owns: they stay on the source."""

    def note(self, entry: FileEntry) -> None:
        """Take it into account."""
        if entry.path in _MAKERS and not _runs(entry):
            self.lacking.append(entry.path)
        if entry.state in (State.MANAGED, State.EXCLUDED) or entry.type == "directory":
            return
        if is_own_kernel(entry):
            self.kernels.append(entry.path)
        if base_wins(entry.path):
            return
        if _GRUB.fullmatch(entry.path):
            self.grub.append(entry.path)
        elif _EARLY.fullmatch(entry.path):
            self.early.append(entry.path)
        elif module := _MODULE.fullmatch(entry.path):
            self.modules.setdefault(module[1], []).append(entry.path)


def _runs(entry: FileEntry) -> bool:
    """Whether grub-mkconfig would run it."""
    return entry.state == State.EXCLUDED or (entry.state != State.MISSING and (entry.type == "symlink" or (entry.type == "file" and bool(int(entry.mode, 8) & 0o111))))


def is_own_kernel(entry: FileEntry) -> bool:
    """Whether it is a kernel that no package owns."""
    return entry.state == State.UNMANAGED and _KERNEL.fullmatch(entry.path) is not None


def brought(report: Report) -> Brought:
    """What a report tells of it."""
    found = Brought()
    for entry in report.files():
        found.note(entry)
    return found


def renew(root: Path, given: Brought, epoch: int) -> set[str]:
    """Make again what depends on it, as of the moment `epoch` (seconds since 1970); answers what was written. Raises SystemExit with the reason."""
    tree = Tree(root)
    kernels = [place.name.removeprefix("vmlinuz-") for place in sorted((root / "boot").glob("vmlinuz-*"))]
    for kernel in kernels:
        if kernel in given.modules:
            inside.run(root, epoch, "depmod", kernel)
            tree.written.update(_indexes(root, kernel))
    renewed = kernels if given.early else [kernel for kernel in kernels if kernel in given.modules]
    if renewed and inside.has(root, "update-initramfs"):
        tree.write(INITRAMFS_FILE, INITRAMFS_SETTINGS)
        for kernel in renewed:
            image = f"/boot/initrd.img-{kernel}"
            tree.at(image).unlink(missing_ok=True)
            inside.run(root, epoch, "update-initramfs", "-c", "-k", kernel)
            tree.written.add(image)
    if given.grub and not given.lacking and inside.has(root, "grub-mkconfig"):
        tree.write(GRUB_FILE, GRUB_SETTINGS)
        inside.run(root, epoch, "grub-mkconfig", "-o", MENU)
        tree.written.add(MENU)
    return tree.written


def _indexes(root: Path, kernel: str) -> Iterator[str]:
    return (f"/{place.relative_to(root)}" for folder in ("usr/lib", "lib") if not (root / folder).is_symlink() for place in (root / folder / "modules" / kernel).glob("modules.*"))


def disk_words(lines: Iterable[str]) -> list[str]:
    """The words of such command lines that name disks."""
    return [match[0] for line in lines for match in DISK_WORD.finditer(line)]
