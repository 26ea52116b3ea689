"""What of the source's configuration names its old surroundings, put into the terms of the new machine: disks and network.

Lines are never dropped: what cannot hold on the new machine stays in the file as a comment, under a line that says why. The proof
recognises the results by their digests, so that any other contents of these files are still a difference.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable

from builders.bootable import OWN_MANAGERS, Tree
from builders.plan import BuildPlan
from scanner.report import ScanReport

FSTAB = "/etc/fstab"
CRYPTTAB = "/etc/crypttab"
INTERFACES = "/etc/network/interfaces"
_WHY_DISK = "# Forgelet: not on the new machine, whose contents are all in one file system:"
_WHY_ROOT = "# Forgelet: the new machine's own disk:"
_WHY_NETWORK = "# Forgelet: the new machine's network is DHCP on every wired interface (90-forgelet-dhcp.network); the source had:"
_BEGINS = ("iface", "auto", "mapping", "source", "source-directory", "no-auto-down", "no-scripts")


def translate(tree: Tree, plan: BuildPlan, own_disk: str) -> dict[str, str]:
    """Rewrite what must be; answers the sha256 of each file that has other contents now. `own_disk` is the new disk's table."""
    def own_table(text: str) -> str:
        return text if text == own_disk else fstab(text, own_disk)

    changed = {}
    for path, translated in [(FSTAB, own_table), (CRYPTTAB, crypttab), *_network(tree, plan)]:
        place = tree.at(path, make=False)
        if place.is_symlink() or not place.is_file():
            continue
        before = place.read_bytes()
        after = translated(before.decode(errors="surrogateescape")).encode(errors="surrogateescape")
        if after != before:
            # Written anew: other names of the file, should it have some, are the source's own.
            place.unlink()
            place.write_bytes(after)
            changed[path] = hashlib.sha256(after).hexdigest()
    return changed


def names_surroundings(path: str, head: ScanReport) -> bool:
    """Whether a build rewrites the source's file at `path`, unless the builder file says otherwise, as far as a report can tell."""
    names = {package.name for package in head.packages}
    if path in (FSTAB, CRYPTTAB) or names & OWN_MANAGERS:
        return path in (FSTAB, CRYPTTAB)
    if path == INTERFACES or path.startswith(f"{INTERFACES}.d/"):
        return "ifupdown" in names
    if path.startswith("/etc/netplan/"):
        return "netplan.io" in names and path.endswith(".yaml")
    fixed = {row.file for row in head.configuration.connections if row.addresses}
    return path.startswith("/etc/systemd/network/") and path in fixed


def _network(tree: Tree, plan: BuildPlan) -> Iterable[tuple[str, Callable[[str], str]]]:
    names = {package.name for package in plan.packages}
    if plan.network != "dhcp" or names & OWN_MANAGERS:
        return
    if "ifupdown" in names:
        for path in (INTERFACES, *_files(tree, "/etc/network/interfaces.d", "")):
            yield path, interfaces
    if "netplan.io" in names:
        for path in _files(tree, "/etc/netplan", ".yaml"):
            yield path, commented
    for path in _files(tree, "/etc/systemd/network", ".network"):
        yield path, networkd


def _files(tree: Tree, folder: str, suffix: str) -> list[str]:
    place = tree.at(f"{folder}/x", make=False).parent
    return [f"{folder}/{one.name}" for one in sorted(place.iterdir()) if one.name.endswith(suffix)] if place.is_dir() else []


def fstab(text: str, own: str) -> str:
    """fstab(5) for the new disk: its own lines first, then the source's; those of disks and partitions that are not there as comments."""
    lines = [_WHY_ROOT, *(line for line in own.splitlines() if line.strip() and not line.startswith("#"))]
    for line in text.splitlines():
        words = line.split()
        if len(words) > 1 and not line.lstrip().startswith("#") and (words[1] == "/" or names_disk(words[0])):
            lines += [_WHY_DISK, f"# {line}"]
        else:
            lines.append(line)
    return "\n".join(lines) + "\n"


def crypttab(text: str) -> str:
    """crypttab(5) without the disks that are not there, for which the machine would wait; what is encrypted in a file stays."""
    lines = []
    for line in text.splitlines():
        words = line.split()
        gone = len(words) > 1 and not words[0].startswith("#") and names_disk(words[1])
        lines += [_WHY_DISK, f"# {line}"] if gone else [line]
    return "\n".join(lines) + "\n" if lines else ""


def names_disk(device: str) -> bool:
    """Whether a word of fstab(5) or crypttab(5) is a disk or a partition."""
    return device.startswith(("UUID=", "LABEL=", "PARTUUID=", "PARTLABEL=", "ID=", "/dev/"))


def interfaces(text: str) -> str:
    """interfaces(5) with the loopback alone; `source` lines stay, since the files that they name are translated too."""
    lines: list[str] = []
    dropping = False
    for line in text.splitlines():
        words = line.split()
        if words and (words[0] in _BEGINS or words[0].startswith("allow-")):
            dropping = words[0] not in ("source", "source-directory") and words[1:2] != ["lo"]
            if dropping and (not lines or not lines[-1].startswith("# ")):
                lines.append(_WHY_NETWORK)
        lines.append(f"# {line}" if dropping and words and not words[0].startswith("#") else line)
    return "\n".join(lines) + "\n" if lines else ""


def networkd(text: str) -> str:
    """systemd.network(5): a file with a fixed address says nothing more; one that asks DHCP stays as it is."""
    fixed = any(line.replace(" ", "").startswith("Address=") for line in text.splitlines())
    return commented(text) if fixed else text


def commented(text: str) -> str:
    """Every line a comment; a file that has nothing but comments stays as it is."""
    if all(not line.strip() or line.lstrip().startswith("#") for line in text.splitlines()):
        return text
    return "\n".join([_WHY_NETWORK, *(line if line.startswith("#") or not line.strip() else f"# {line}" for line in text.splitlines())]) + "\n"
