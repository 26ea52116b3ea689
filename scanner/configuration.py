"""How the machine is set up, as far as its files say it: the part of a report's head that is not packages, accounts and services.

Each row has a kind on the agent's wire (`ROWS`); a list of `Configuration` has the rows of one kind. Secrets are never in a row.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Key(_Row):
    """A file (or an entry of rpm's database) with keys that packages are verified against."""

    manager: str
    """`apt`, `rpm` or `apk`."""
    path: str
    """Of the file; `rpmdb:VERSION-RELEASE` of a key that was imported into rpm's database."""
    sha256: str = ""
    """Of the key material as it lies there, lower-case hex."""
    fingerprints: list[str] = Field(default_factory=list)
    """Of the primary keys, upper case (RFC 4880, 12.2); empty where the file is of another kind."""
    names: list[str] = Field(default_factory=list)
    """User IDs."""


class Pin(_Row):
    """A paragraph of apt_preferences(5)."""

    file: str
    """Where it stands."""
    package: str
    """Names, or patterns, of packages; `*` is all."""
    pin: str
    """`release a=stable`"""
    priority: int
    """From -32768 to 32767; above 1000 even an older version is taken."""


class Diversion(_Row):
    """dpkg-divert(1)."""

    path: str
    """Where the packages' file would lie."""
    to: str
    """Where it lies instead."""
    package: str
    """The one package whose file stays at `path`; `:` is the administrator."""


class Alternative(_Row):
    """A group of update-alternatives(1)."""

    name: str
    """`editor`"""
    link: str
    """The link that the group keeps: `/usr/bin/editor`."""
    value: str
    """Where the group points now; empty where nothing is there."""
    mode: str
    """`auto` or `manual`."""
    choices: list[str] = Field(default_factory=list)
    """Paths that it can point to."""


class StatOverride(_Row):
    """dpkg-statoverride(1). Names, or `#` and a number."""

    path: str
    """What it is about."""
    user: str
    """Its owner."""
    group: str
    """Its group."""
    mode: str
    """Permission bits (07777), octal: `4755`."""


class DebconfAnswer(_Row):
    """An answer in debconf's database. Of a password only that there is one."""

    name: str
    """Of the question: `tzdata/Zones/Etc`."""
    type: str = ""
    """Of its template: `string`, `boolean`, `select`, `multiselect`, `password` …"""
    value: str = ""
    """The answer; of a password only whether there is one."""
    owners: list[str] = Field(default_factory=list)
    """Packages that ask it."""
    seen: bool = False
    """Whether the administrator was shown the question."""


class LanguagePackage(_Row):
    """A package of a programming language's own manager."""

    manager: str
    """`pip`, `npm` or `gem`."""
    name: str
    """As the manager knows it."""
    version: str
    """As the manager writes it."""
    root: str
    """The folder that it is installed in, such as `…/site-packages`, `…/node_modules`."""
    package: str | None = None
    """The system's package that owns it."""


class CronJob(_Row):
    """A line of a crontab(5), or a script of cron.hourly and its like (anacron)."""

    file: str
    """Where it stands."""
    user: str
    """Who it runs as."""
    schedule: str
    """`17 * * * *`, `@reboot`, `daily`"""
    command: str
    """What is run, verbatim."""


class Setting(_Row):
    """A value in a configuration file."""

    area: str
    """`sysctl`, `module` (loaded at boot), `modprobe` (options, aliases, blacklists), `cmdline`, `selinux`, `apparmor`, `lvm`, `crypt`."""
    file: str
    """Where it stands."""
    key: str
    """What is set: `net.ipv4.ip_forward`, the name of a module …"""
    value: str = ""
    """Verbatim; empty where the key says it all."""


class FileSystem(_Row):
    """A line of fstab(5), swap included."""

    source: str
    """First field: a device, `UUID=…`, `LABEL=…`, or a network's path."""
    path: str
    """Mount point; `none` of swap."""
    type: str
    """`ext4`, `swap`, `nfs` …"""
    options: str = ""
    """Fourth field: `defaults,noatime`."""


class Connection(_Row):
    """How an interface is configured, by which program."""

    renderer: str
    """`ifupdown`, `netplan`, `networkd`, `NetworkManager` or `ifcfg`."""
    file: str
    """Where it stands."""
    interface: str
    """`eth0`, or the pattern that the file has."""
    dhcp: bool = False
    """Whether it asks for an address."""
    addresses: list[str] = Field(default_factory=list)
    """Fixed ones, with their prefix where the file has it: `192.0.2.7/24`."""
    gateways: list[str] = Field(default_factory=list)
    """Addresses of default routes."""


class SudoRule(_Row):
    """A line of sudoers(5), continuation lines joined."""

    file: str
    """Where it stands."""
    line: str
    """Its words, one blank between them."""


class AuthorizedKey(_Row):
    """A key that lets somebody in by SSH. The key itself is only in the overlay."""

    user: str
    """Who it lets in."""
    path: str
    """Of the file."""
    type: str
    """`ssh-ed25519`, `ssh-rsa` …"""
    fingerprint: str
    """As ssh-keygen(1) shows it: `SHA256:…`"""
    comment: str = ""
    """What stands behind the key."""
    options: str = ""
    """What stands before it: `command="…",no-pty`."""


class Configuration(_Row):
    """All rows, by kind."""

    keys: list[Key] = Field(default_factory=list)
    """What packages are verified against."""
    pins: list[Pin] = Field(default_factory=list)
    """Versions that apt prefers."""
    diversions: list[Diversion] = Field(default_factory=list)
    """Files that lie elsewhere than their packages say."""
    alternatives: list[Alternative] = Field(default_factory=list)
    """Which of several programs a common name means."""
    statoverrides: list[StatOverride] = Field(default_factory=list)
    """Owners and modes that dpkg keeps as the administrator wants them."""
    debconf: list[DebconfAnswer] = Field(default_factory=list)
    """What packages asked when they were installed."""
    language_packages: list[LanguagePackage] = Field(default_factory=list)
    """Of pip, npm and gem."""
    cron: list[CronJob] = Field(default_factory=list)
    """What runs at set times, timers of systemd aside."""
    settings: list[Setting] = Field(default_factory=list)
    """Of the kernel, its modules, its command line, and of what guards and maps disks."""
    file_systems: list[FileSystem] = Field(default_factory=list)
    """What is mounted at boot."""
    connections: list[Connection] = Field(default_factory=list)
    """How interfaces are configured."""
    sudo: list[SudoRule] = Field(default_factory=list)
    """Who may become whom."""
    authorized_keys: list[AuthorizedKey] = Field(default_factory=list)
    """Who gets in by SSH."""

    def add(self, kind: str, row: dict[str, object]) -> None:
        """Raises ValueError for a row that is none of its kind."""
        name, model = ROWS[kind]
        getattr(self, name).append(model.model_validate(row))


ROWS: dict[str, tuple[str, type[_Row]]] = {
    "key": ("keys", Key),
    "pin": ("pins", Pin),
    "diversion": ("diversions", Diversion),
    "alternative": ("alternatives", Alternative),
    "statoverride": ("statoverrides", StatOverride),
    "debconf": ("debconf", DebconfAnswer),
    "language_package": ("language_packages", LanguagePackage),
    "cron": ("cron", CronJob),
    "setting": ("settings", Setting),
    "file_system": ("file_systems", FileSystem),
    "connection": ("connections", Connection),
    "sudo": ("sudo", SudoRule),
    "authorized_key": ("authorized_keys", AuthorizedKey),
}
"""Kind on the wire -> list of `Configuration`, and what a row is."""
