"""What turns the tree of a source into a machine that starts on its own: name, network, cloud-init, identity, package marks."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from builders.archive import parse_stanzas, write_stanza
from builders.image import Addition
from builders.plan import BuildPlan

CLOUD_CONFIG = """\
# The machine was migrated: it keeps its host keys, its accounts and its package sources; its name is what the cloud calls it.
datasource_list: [ConfigDrive, OpenStack, None]
preserve_hostname: false
manage_etc_hosts: false
ssh_deletekeys: false
ssh_genkeytypes: {keytypes}
disable_root: false
apt_preserve_sources_list: true
apt: {preserve_sources_list: true}
network: {config: disabled}
users: []
cloud_init_modules: [seed_random, bootcmd, write_files, growpart, resizefs, set_hostname, users_groups, ssh]
cloud_config_modules: [ssh_import_id, runcmd]
cloud_final_modules: [scripts_per_once, scripts_per_boot, scripts_per_instance, scripts_user, final_message]
"""

NETWORK = """\
[Match]
Name=en* eth*

[Network]
DHCP=yes
"""

NETWORK_LINKS = {
    "/etc/systemd/system/multi-user.target.wants/systemd-networkd.service": "/lib/systemd/system/systemd-networkd.service",
    "/etc/systemd/system/sockets.target.wants/systemd-networkd.socket": "/lib/systemd/system/systemd-networkd.socket",
    "/etc/systemd/system/dbus-org.freedesktop.network1.service": "/lib/systemd/system/systemd-networkd.service",
    "/etc/systemd/system/network-online.target.wants/systemd-networkd-wait-online.service": "/lib/systemd/system/systemd-networkd-wait-online.service",
}
"""What `systemctl enable systemd-networkd` links. Source: the [Install] sections of systemd's units."""

RESOLVED_LINKS = {
    "/etc/systemd/system/multi-user.target.wants/systemd-resolved.service": "/lib/systemd/system/systemd-resolved.service",
    "/etc/systemd/system/dbus-org.freedesktop.resolve1.service": "/lib/systemd/system/systemd-resolved.service",
}
"""The same for systemd-resolved, which its package enables where it has one of its own (not in Debian 11)."""

NETWORK_FILE = "/etc/systemd/network/90-forgelet-dhcp.network"
CLOUD_FILE = "/etc/cloud/cloud.cfg.d/90_forgelet.cfg"
COMMAND_UNIT = "/etc/systemd/system/forgelet-container.service"
OWN_MANAGERS = frozenset({"network-manager", "ifupdown-ng", "connman"})
"""Packages that configure the network on their own, and by DHCP where nothing is said: their configuration stays as it is."""
MANAGERS = OWN_MANAGERS | {"ifupdown", "netplan.io"}
"""Those, and the ones whose configuration is translated (`translate.py`) unless the spec says `network: keep`."""


BUS_ID = "/var/lib/dbus/machine-id"
STATUS = "/var/lib/dpkg/status"


class Tree:
    """The image's root, written to without ever following a link out of it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.written: set[str] = set()
        """Every path that was written through this."""

    def at(self, path: str, *, make: bool = True) -> Path:
        """The place of an absolute path in the tree, links in its parent folders resolved inside; with `make` these are made as needed."""
        place = self.root
        for part in path.strip("/").split("/")[:-1]:
            place = self._step(place / part)
            if make:
                place.mkdir(exist_ok=True)
        return place / path.rpartition("/")[2]

    def _step(self, place: Path) -> Path:
        if not place.is_symlink():
            return place
        target = place.readlink()
        inside = self.root / str(target).lstrip("/") if target.is_absolute() else place.parent / target
        if not inside.resolve().is_relative_to(self.root.resolve()):
            raise ValueError(f"{place} leads out of the image")
        return inside

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """A regular file of root's; whatever else was there is replaced."""
        place = self._told(self.at(path))
        place.unlink(missing_ok=True)
        place.write_bytes(text.encode(errors="surrogateescape"))
        place.chmod(mode)

    def append(self, path: str, text: str) -> None:
        """At the end of a regular file, which is made when nothing is there; anything else that is there stays as it is."""
        place = self.at(path)
        if place.is_symlink() or (place.exists() and not place.is_file()):
            return
        with self._told(place).open("ab") as end:
            end.write(text.encode(errors="surrogateescape"))

    def link(self, path: str, target: str) -> None:
        """A symbolic link; whatever was there is replaced."""
        place = self._told(self.at(path))
        if place.is_symlink() or place.exists():
            place.unlink()
        place.symlink_to(target)

    def _told(self, place: Path) -> Path:
        self.written.add(f"/{place.relative_to(self.root)}")
        return place


def make_bootable(root: Path, plan: BuildPlan, build_log: str, given: Callable[[str], bool]) -> set[str]:
    """Write what the machine needs; answers the paths. `given(path)`: whether the source brought that path itself (then it stays)."""
    tree = Tree(root)
    if not given("/etc/hostname"):
        tree.write("/etc/hostname", f"{plan.hostname}\n")
    if not given("/etc/hosts"):
        tree.write("/etc/hosts", "\n".join(["127.0.0.1 localhost", f"127.0.1.1 {plan.hostname}", "::1 localhost ip6-localhost ip6-loopback", *plan.hosts, ""]))
    tree.write("/etc/machine-id", "", 0o444)
    bus = tree.at(BUS_ID, make=False)
    if bus.exists() or bus.is_symlink():
        # D-Bus made an id for the base disk, which every machine made from it would share; it takes the machine's own by this link.
        tree.link(BUS_ID, "/etc/machine-id")
    _network(tree, plan, given)
    added = {addition.item for addition in plan.additions}
    if "cloud-init" in added:
        tree.write(CLOUD_FILE, CLOUD_CONFIG.replace("{keytypes}", json.dumps(_missing_keys(tree, plan))))
    if plan.command_unit:
        tree.write(COMMAND_UNIT, plan.command_unit)
        tree.link("/etc/systemd/system/multi-user.target.wants/forgelet-container.service", COMMAND_UNIT)
    # The source's history stays; the image's own installation follows it.
    tree.append("/var/log/dpkg.log", build_log)
    _marks(tree, plan)
    return tree.written


def _missing_keys(tree: Tree, plan: BuildPlan) -> list[str]:
    """The kinds of host keys that the machine has to make: none where the source brought its own, or where there is no SSH."""
    folder = tree.at("/etc/ssh/x", make=False).parent
    if not plan.overlay:
        # These came with the base disk, which other images share.
        for key in folder.glob("ssh_host_*_key*"):
            key.unlink()
    return [] if not folder.is_dir() or any(folder.glob("ssh_host_*_key")) else ["rsa", "ecdsa", "ed25519"]


def _network(tree: Tree, plan: BuildPlan, given: Callable[[str], bool]) -> None:
    if not takes_dhcp(plan):
        return
    tree.write(NETWORK_FILE, NETWORK)
    links = NETWORK_LINKS if plan.codename != "bullseye" else {**NETWORK_LINKS, **RESOLVED_LINKS}
    for path, target in links.items():
        if not given(path):
            tree.link(path, target)
    if not given("/etc/resolv.conf") or (plan.network == "dhcp" and _names_old_resolver(tree)):
        tree.link("/etc/resolv.conf", "../run/systemd/resolve/stub-resolv.conf")


def takes_dhcp(plan: BuildPlan) -> bool:
    """Whether the image's network is ours: no program of the source's keeps it."""
    return not (MANAGERS if plan.network == "keep" else OWN_MANAGERS) & {package.name for package in plan.packages}


def written(plan: BuildPlan) -> list[Addition]:
    """The files that are written into the image beside packages, each with its reason."""
    found = [Addition(item=NETWORK_FILE, reason="DHCP on every wired interface, whatever it is called")] if takes_dhcp(plan) else []
    if "cloud-init" in {addition.item for addition in plan.additions}:
        found.append(Addition(item=CLOUD_FILE, reason="cloud-init leaves the source's name, keys, accounts and package sources alone"))
    if plan.command_unit:
        found.append(Addition(item=COMMAND_UNIT, reason="it starts the container's own command"))
    return found


def _names_old_resolver(tree: Tree) -> bool:
    """Whether /etc/resolv.conf is a plain file that sends every question to a machine of the source's network."""
    place = tree.at("/etc/resolv.conf", make=False)
    if place.is_symlink() or not place.is_file():
        return False
    words = [line.split() for line in place.read_text(errors="replace").splitlines()]
    asked = [line[1] for line in words if len(line) > 1 and line[0] == "nameserver"]
    return bool(asked) and not any(one.startswith("127.") or one == "::1" for one in asked)


def _marks(tree: Tree, plan: BuildPlan) -> None:
    """Holds and what else dpkg was told to do into its status, manual and automatic marks into apt's extended_states."""
    asked = {package.name: "hold" if package.hold else package.wanted for package in plan.packages if package.hold or package.wanted}
    manual = {(p.name, p.arch) for p in plan.packages if not p.auto} | {(a.item, plan.arch) for a in plan.additions}
    manual |= {(p.name, p.arch) for p in plan.removed if not p.auto}
    status = tree.at(STATUS).read_bytes().decode(errors="surrogateescape")
    paragraphs, states = [], []
    for fields in parse_stanzas(status):
        if fields["Package"] in asked and fields["Status"] == "install ok installed":
            fields["Status"] = f"{asked[fields['Package']]} ok installed"
        paragraphs.append(write_stanza(fields))
        arch = fields["Architecture"]
        if (fields["Package"], arch) not in manual and not (arch == "all" and (fields["Package"], plan.arch) in manual):
            states.append(write_stanza({"Package": fields["Package"], "Architecture": plan.arch if arch == "all" else arch, "Auto-Installed": "1"}))
    tree.write(STATUS, "".join(paragraphs))
    tree.write("/var/lib/apt/extended_states", "".join(states))
