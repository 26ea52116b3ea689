"""The `installation` part of a template's stack: what is set up on the machine besides its packages and files.

Source of the keys: hammr's documentation of templates. A key that a cloud image cannot honour is refused with the reason.
"""

from __future__ import annotations

import ipaddress
import zoneinfo
from dataclasses import dataclass, field
from typing import Any

from builders.section import Section
from builders.spec import DISK_SIZES, SWAP_SIZES

NAME = r"[a-z_][a-z0-9_-]{0,31}"
"""useradd(8), CAVEATS."""
IDS = (1, 60000)

KEYBOARDS = {
    "us": "us", "us-acentos": "us:intl", "dvorak": "us:dvorak", "uk": "gb", "ie": "ie", "fr": "fr", "fr-latin1": "fr", "fr-latin9": "fr:latin9", "fr-pc": "fr",
    "fr-ch": "ch:fr", "fr-ch-latin1": "ch:fr", "sg": "ch:de_nodeadkeys", "sg-latin1": "ch:de_nodeadkeys", "de": "de", "de-latin1": "de", "de-latin1-nodeadkeys": "de:nodeadkeys",
    "be-latin1": "be", "nl": "nl", "dk": "dk", "dk-latin1": "dk", "no": "no", "sv-latin1": "se", "fi": "fi", "fi-latin1": "fi",
    "is-latin1": "is", "et": "ee", "es": "es", "la-latin1": "latam", "pt-latin1": "pt", "br-abnt2": "br", "it": "it", "it-ibm": "it:ibm",
    "it2": "it", "gr": "gr", "croat": "hr", "sloven": "si", "cz-lat2": "cz:qwerty", "cz-us-qwertz": "cz", "sk-qwerty": "sk:qwerty", "pl2": "pl",
    "hu": "hu", "hu101": "hu:qwerty", "ro": "ro", "ro-std": "ro:std", "ru": "ru", "ua-utf": "ua",
    "bg-bds-utf8": "bg", "bg-pho-utf8": "bg:phonetic", "mk-utf": "mk", "sr-cy": "rs", "sr-latin1": "rs:latin", "trq": "tr", "jp106": "jp", "ko": "kr",
    "cf": "ca", "tj": "tj",
}  # fmt: skip
"""UForge's keyboards and their XKB layouts, with the variant after a colon, as far as there is one. Source: systemd's `kbd-model-map`."""


@dataclass(frozen=True, slots=True)
class Account:
    """One user to be made."""

    name: str
    full_name: str = ""
    home: str = ""
    shell: str = "/bin/bash"
    password: str = field(default="", repr=False)
    group: str = ""
    groups: tuple[str, ...] = ()
    system: bool = False
    uid: int | None = None
    keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AccountGroup:
    """One group to be made."""

    name: str
    system: bool = False
    gid: int | None = None


@dataclass(frozen=True, slots=True)
class Interface:
    """One network interface, configured by systemd-networkd."""

    name: str
    ipv4: str = "dhcp"
    ipv6: str = "dhcp"
    """`dhcp`, `static` or `disabled`"""
    addresses: tuple[tuple[str, str], ...] = ()
    """Address with prefix length, gateway (or empty)."""
    connect: bool = True


@dataclass(frozen=True, slots=True)
class Installation:
    """What is set up on the machine."""

    disk_size: int | None = None
    """MiB; a builder's own wins."""
    swap_size: int = 0
    root_password: str = field(default="", repr=False)
    root_keys: tuple[str, ...] = ()
    lock_root: bool = False
    users: tuple[Account, ...] = ()
    groups: tuple[AccountGroup, ...] = ()
    interfaces: tuple[Interface, ...] = ()
    keyboard: str = ""
    """XKB layout, with its variant after a colon."""
    timezone: str = ""
    kernel_parameters: tuple[str, ...] = ()
    welcome: str = ""

    @property
    def empty(self) -> bool:
        """Whether nothing has to be done to the machine (sizes decide on the disk only)."""
        return self == Installation(disk_size=self.disk_size)


def read_installation(section: Section) -> Installation:
    """The part as it is built; mistakes go to the section's reader."""
    section.refuse("firewall", "a firewall cannot be set up yet: leave it to a boot script, or say false")
    if section.choice("seLinuxMode", ("disabled", "permissive", "enforcing"), "disabled") != "disabled":
        section.problem("seLinuxMode", "Debian's kernel runs AppArmor: only 'disabled' can be built")
    for spelling in ("displayLicenses", "displayLicense"):
        if section.flag(spelling):
            section.problem(spelling, "a machine in a cloud has nobody at its console to show licences to: say false")
    disk = section.number("diskSize", *DISK_SIZES)
    partitioned = section.section("partitioning")
    made = Installation(
        disk_size=_partitioned(partitioned) if partitioned else disk,
        swap_size=section.number("swapSize", *SWAP_SIZES) or 0,
        **_root(section.section("rootUser")),
        users=tuple(_user(one) for one in section.sections("users")),
        groups=tuple(_group(one) for one in section.sections("groups")),
        interfaces=_interfaces(section),
        keyboard=_keyboard(section),
        timezone=_timezone(section),
        kernel_parameters=_parameters(section),
        welcome=section.text("welcomeMessage"),
    )
    section.finish()
    return made


def _root(section: Section | None) -> dict[str, Any]:
    if section is None:
        return {}
    password = section.text("password", pattern=r"[^\n:]*", what="a password (no line breaks)")
    if section.flag("setPassword") and not password:
        section.problem("setPassword", "there is no password to set")
    found = {
        "root_password": password if section.flag("setPassword", default=True) else "",
        "lock_root": section.flag("disablePasswordLogin"),
        "root_keys": _keys(section),
    }
    section.finish()
    return found


def _keys(section: Section) -> tuple[str, ...]:
    keys = []
    for one in section.sections("sshKeys"):
        one.text("name")
        keys.append(one.text("publicKey", required=True, pattern=r"(ssh|ecdsa|sk)-[^\n]+ [A-Za-z0-9+/=]+( [^\n]*)?", what="a public key (one line: type, key, comment)"))
        one.finish()
    return tuple(key for key in keys if key)


def _user(section: Section) -> Account:
    said = section.text("secondaryGroups")
    groups = tuple(part.strip() for part in said.split(",") if part.strip())
    made = Account(
        name=section.text("name", required=True, pattern=NAME, what="a user name"),
        full_name=section.text("fullName", pattern=r"[^:\n]*", what="a full name (no colons)"),
        home=section.text("homeDir", pattern=r"/[^:\n]*", what="an absolute path"),
        shell=section.text("shell", pattern=r"/[^:\n]*", what="an absolute path") or "/bin/bash",
        password=section.text("password", pattern=r"[^\n:]*", what="a password (no line breaks)"),
        group=section.text("primaryGroup", pattern=NAME, what="a group name"),
        groups=groups,
        system=section.flag("systemUser"),
        uid=section.number("userId", *IDS),
        keys=_keys(section),
    )
    section.finish()
    return made


def _group(section: Section) -> AccountGroup:
    name = section.text("name", required=True, pattern=NAME, what="a group name")
    made = AccountGroup(name, section.flag("systemGroup"), section.number("groupId", *IDS))
    section.finish()
    return made


def _interfaces(section: Section) -> tuple[Interface, ...]:
    how = section.choice("internetSettings", ("basic", "ask", "configure"), "basic")
    if how == "ask":
        section.problem("internetSettings", "a machine in a cloud has nobody at its console to ask: say basic, or configure with nics")
    interfaces = sorted(((one.number("order", 0, 99) or 0, _interface(one)) for one in section.sections("nics")), key=lambda pair: pair[0])
    if how != "configure" and interfaces:
        section.problem("nics", "are set up with internetSettings: configure only")
    if how == "configure" and not interfaces:
        section.problem("nics", "is missing (internetSettings is configure)")
    return tuple(one for _, one in interfaces) if how == "configure" else ()


def _interface(section: Section) -> Interface:
    section.choice("type", ("ETHERNET",), "ETHERNET")
    methods = {key: section.choice(key, ("dhcp", "static", "disabled"), "dhcp") for key in ("ipv4", "ipv6")}
    addresses = tuple(found for one in section.sections("ipAddresses") if (found := _address(one)))
    for key, version in (("ipv4", 4), ("ipv6", 6)):
        if methods[key] == "static" and not any(ipaddress.ip_interface(address).version == version for address, _ in addresses):
            section.problem(key, "is static, but ipAddresses has no address for it")
    name = section.text("name", required=True, pattern=r"[a-z][a-z0-9]{0,14}", what="the name of an interface (such as eth0)")
    made = Interface(name, **methods, addresses=addresses, connect=section.flag("autoConnect", default=True))
    section.finish()
    return made


def _address(section: Section) -> tuple[str, str] | None:
    section.choice("version", ("4", "6"), "4")
    address, mask, gateway = (section.text(key, required=key == "address") for key in ("address", "netmask", "gateway"))
    section.finish()
    try:
        whole = ipaddress.ip_interface(f"{address}/{mask}" if mask else address)
        return str(whole), str(ipaddress.ip_address(gateway)) if gateway else ""
    except ValueError as error:
        section.problem("address", f"is not an address: {error}")
        return None


def _keyboard(section: Section) -> str:
    said = section.text("keyboard")
    if said and said not in KEYBOARDS:
        section.problem("keyboard", f"'{said}' has no layout here (known: {', '.join(sorted(KEYBOARDS))})")
    return KEYBOARDS.get(said, "")


def _timezone(section: Section) -> str:
    said = section.text("timezone")
    if said and said not in zoneinfo.available_timezones():
        section.problem("timezone", f"there is no time zone '{said}' (such as Europe/London)")
    return said


def _parameters(section: Section) -> tuple[str, ...]:
    words = tuple(str(getattr(node, "value", "")) for node in section.nodes("kernelParams"))
    if any(not word.isprintable() or set(word) & set(" \"'\\$`") or not word for word in words):
        section.problem("kernelParams", "must be a list of words, without blanks, quotes, dollar signs and backslashes")
    return words


def _partitioned(section: Section) -> int | None:
    """The size of the disk, when the table is the one that images have: one disk, one ext4 root partition."""
    why = "an image has one disk with one partition, ext4, mounted at /"
    section.refuse("volumeGroups", f"logical volumes cannot be built: {why}")
    section.refuse("logicalVolumes", f"logical volumes cannot be built: {why}")
    disks = section.sections("disks")
    if len(disks) != 1:
        section.problem("disks", f"{why}, not {len(disks)} disks")
        return None
    disk = disks[0]
    disk.choice("name", ("sda",), "sda")
    disk.choice("type", ("msdos",), "msdos")
    size = disk.number("size", *DISK_SIZES, required=True)
    parts = disk.sections("partitions")
    if len(parts) > 1:
        disk.problem("partitions", f"{why}, not {len(parts)} partitions")
    for part in parts[:1]:
        part.number("number", 1, 1)
        part.number("size", 64, DISK_SIZES[1])
        part.choice("fstype", ("ext4",), "ext4")
        part.choice("mountPoint", ("/",), "/")
        part.refuse("label", "the root file system's label is Forgelet's own")
        part.flag("grow")
        part.refuse("partitions", why)
        part.finish()
    disk.finish()
    section.finish()
    return size
