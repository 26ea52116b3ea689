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
    fingerprints: list[str] = Field(default_factory=list)
    """Of the primary keys, upper case (RFC 4880, 12.2); empty where the file is of another kind."""
    names: list[str] = Field(default_factory=list)
    """User IDs."""


class Pin(_Row):
    """A paragraph of apt_preferences(5)."""

    file: str
    package: str
    pin: str
    """`release a=stable`"""
    priority: int


class Diversion(_Row):
    """dpkg-divert(1)."""

    path: str
    to: str
    package: str
    """The one package whose file stays at `path`; `:` is the administrator."""


class Alternative(_Row):
    """A group of update-alternatives(1)."""

    name: str
    link: str
    value: str
    """Where the group points now; empty where nothing is there."""
    mode: str
    """`auto` or `manual`."""
    choices: list[str] = Field(default_factory=list)


class StatOverride(_Row):
    """dpkg-statoverride(1). Names, or `#` and a number."""

    path: str
    user: str
    group: str
    mode: str


class DebconfAnswer(_Row):
    """An answer in debconf's database. Of a password only that there is one."""

    name: str
    type: str = ""
    value: str = ""
    owners: list[str] = Field(default_factory=list)
    seen: bool = False


class LanguagePackage(_Row):
    """A package of a programming language's own manager."""

    manager: str
    """`pip`, `npm` or `gem`."""
    name: str
    version: str
    root: str
    """The folder that it is installed in, such as `…/site-packages`, `…/node_modules`."""
    package: str | None = None
    """The system's package that owns it."""


class CronJob(_Row):
    """A line of a crontab(5), or a script of cron.hourly and its like (anacron)."""

    file: str
    user: str
    schedule: str
    """`17 * * * *`, `@reboot`, `daily`"""
    command: str


class Setting(_Row):
    """A value in a configuration file."""

    area: str
    """`sysctl`, `module` (loaded at boot), `modprobe` (options, aliases, blacklists), `cmdline`, `selinux`, `apparmor`, `lvm`, `crypt`."""
    file: str
    key: str
    value: str = ""


class FileSystem(_Row):
    """A line of fstab(5), swap included."""

    source: str
    path: str
    type: str
    options: str = ""


class Connection(_Row):
    """How an interface is configured, by which program."""

    renderer: str
    """`ifupdown`, `netplan`, `networkd`, `NetworkManager` or `ifcfg`."""
    file: str
    interface: str
    dhcp: bool = False
    addresses: list[str] = Field(default_factory=list)
    gateways: list[str] = Field(default_factory=list)


class SudoRule(_Row):
    """A line of sudoers(5), continuation lines joined."""

    file: str
    line: str


class AuthorizedKey(_Row):
    """A key that lets somebody in by SSH. The key itself is only in the overlay."""

    user: str
    path: str
    type: str
    fingerprint: str
    """As ssh-keygen(1) shows it: `SHA256:…`"""
    comment: str = ""
    options: str = ""


class Configuration(_Row):
    """All rows, by kind."""

    keys: list[Key] = Field(default_factory=list)
    pins: list[Pin] = Field(default_factory=list)
    diversions: list[Diversion] = Field(default_factory=list)
    alternatives: list[Alternative] = Field(default_factory=list)
    statoverrides: list[StatOverride] = Field(default_factory=list)
    debconf: list[DebconfAnswer] = Field(default_factory=list)
    language_packages: list[LanguagePackage] = Field(default_factory=list)
    cron: list[CronJob] = Field(default_factory=list)
    settings: list[Setting] = Field(default_factory=list)
    file_systems: list[FileSystem] = Field(default_factory=list)
    connections: list[Connection] = Field(default_factory=list)
    sudo: list[SudoRule] = Field(default_factory=list)
    authorized_keys: list[AuthorizedKey] = Field(default_factory=list)

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
