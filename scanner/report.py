"""The ScanReport: what is on a live system. This is the contract between the rooms; its number is `SCHEMA`.

On disk a report is a folder with two files:

    head.json          `ScanReport`: everything but the file table
    files.ndjson.zst   one `FileEntry` a line, in walk order (see `walk_key`), zstd

The file table streams on both ends: a million entries are never in memory at once. Paths are bytes on the machine; here and in
JSON they are `str` with every byte that is not UTF-8 as a lone surrogate (`os.fsdecode`), written by the standard library's
`json` with `ensure_ascii`, since pydantic and sqlite3 refuse lone surrogates.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any

import zstandard
from pydantic import BaseModel, ConfigDict, Field

from scanner.configuration import Configuration
from scanner.host.whole import write_whole

SCHEMA = 1
LONGEST_LINE = 16 << 20
"""Bytes of a line: attributes are up to 64 KiB each, a badly fragmented sparse file has many extents."""


class State(StrEnum):
    """How a path relates to what the package manager put on the machine."""

    MANAGED = "managed"
    CONFFILE_CHANGED = "conffile-changed"
    MANAGED_CHANGED = "managed-changed"
    UNMANAGED = "unmanaged"
    MISSING = "missing"
    EXCLUDED = "excluded"


class Kind(StrEnum):
    """The type of a path."""

    FILE = "file"
    DIRECTORY = "directory"
    SYMLINK = "symlink"
    FIFO = "fifo"
    SOCKET = "socket"
    CHAR = "char"
    BLOCK = "block"


@dataclass(slots=True)
class FileEntry:
    """One path of the live system. Optional fields are None (or empty) where they do not apply."""

    path: str
    """Absolute; bytes that are not UTF-8 are lone surrogates."""
    type: str
    """A `Kind`; for a `missing` path the kind is what the package ships where known, else `file`."""
    state: str
    """A `State`."""
    reason: str
    """Why the state is what it is: a code, such as `md5-equal`, `conffile-md5`, `not-in-any-package`, `deleted`, or an exclude rule's name."""
    mode: str = ""
    """Permission bits (07777), octal, four digits: `0644`, `4755`."""
    uid: int = 0
    """Owner, as the live system numbers its users."""
    gid: int = 0
    """Group, as the live system numbers its groups."""
    size: int = 0
    """Bytes of a regular file; length of a link's target; 0 otherwise."""
    mtime: int = 0
    """Nanoseconds since the epoch."""
    sha256: str | None = None
    """Of the contents of a regular file, lower-case hex; None where they were not read."""
    target: str | None = None
    """Where a symlink points, verbatim."""
    package: str | None = None
    """`name` (or `name:arch` where co-installed) of the owning package."""
    hardlink: str | None = None
    """The first path, in walk order, of the same inode; None for files with one link. The first path names itself."""
    device: str | None = None
    """`major:minor` of a device node."""
    xattrs: dict[str, str] = field(default_factory=dict)
    """Name -> base64 of the value; ACLs and capabilities are in here as the kernel stores them."""
    extents: list[list[int]] | None = None
    """`[offset, length]` of each data extent of a sparse file; None for a file without holes."""
    expected: dict[str, str] = field(default_factory=dict)
    """What differs from the package -> what the package ships there. Keys: `type`, `digest` (`md5:…`, `sha256:…`), `size`, `target`,
    `device`, `mode`, `user`, `group` (names, or `#` and a number), `caps`, `mtime` (seconds), as far as its manager knows them."""
    flags: str = ""
    """Inode flags that an administrator set, as lsattr's letters: `i` immutable, `a` append only …"""
    secret: str | None = None
    """The kind of secret that the contents are: `private key`, `SSH host key`, `password hashes`, `token`, `password`."""

    def to_json(self) -> str:
        """One line of the file table; fields that say nothing are left out."""
        row = {f: v for f in _FIELDS if (v := getattr(self, f)) not in (None, "", {}) or f in _ALWAYS}
        return json.dumps(row, ensure_ascii=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, line: str | bytes) -> FileEntry:
        """Raises ValueError or TypeError for anything that is not a line of a file table."""
        return cls(**json.loads(line))

    @property
    def raw(self) -> bytes:
        """The path as the machine has it."""
        return os.fsencode(self.path)


_FIELDS = tuple(f.name for f in fields(FileEntry))
_ALWAYS = frozenset({"path", "type", "state", "reason", "mode", "uid", "gid", "size", "mtime"})


def walk_key(path: str) -> bytes:
    """Sort key of the walk: depth first, parent before children, siblings by name's bytes. No name has a NUL, so it parts them."""
    return os.fsencode(path).strip(b"/").replace(b"/", b"\0")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ContainerMount(_Part):
    """Something that the engine mounts into a container."""

    type: str
    """`volume`, `bind` or `tmpfs`"""
    name: str = ""
    """Of a named volume."""
    source: str = ""
    """Where it lies on the engine's machine."""
    target: str
    """Where the container sees it."""
    read_only: bool = False
    """Whether the container cannot write to it."""


class Container(_Part):
    """What the container engine knows and the file system does not."""

    id: str = ""
    """The engine's number of the container, 64 hex digits."""
    image: str = ""
    """As the container was started with it: `nginx:1.25`."""
    entrypoint: list[str] = Field(default_factory=list)
    """Words that stand before the command."""
    command: list[str] = Field(default_factory=list)
    """Words of the command line."""
    environment: dict[str, str] = Field(default_factory=dict)
    """Name -> value, the image's own included."""
    working_dir: str = ""
    """Absolute path inside the container; empty: `/`."""
    user: str = ""
    """Who its command runs as, `NAME[:GROUP]` or numbers; empty: root."""
    ports: list[str] = Field(default_factory=list)
    """`80/tcp`"""
    published: dict[str, int] = Field(default_factory=dict)
    """`80/tcp` -> the port of this machine's 127.0.0.1 where it is reached."""
    volumes: list[str] = Field(default_factory=list)
    """Mount points inside the container."""
    mounts: list[ContainerMount] = Field(default_factory=list)
    """The same with what is mounted there; whether its contents are in the scan, the file table says."""
    restart: str = ""
    """As `docker run --restart` takes it: `always`, `on-failure:3`, `unless-stopped`; `no` or empty."""
    labels: dict[str, str] = Field(default_factory=dict)
    """Name -> value."""


class MachineDisk(_Part):
    """A disk of a virtual machine."""

    target: str
    """`vda`"""
    bus: str = ""
    """How it is attached: `virtio`, `sata`, `scsi`, `ide` …"""
    device: str = "disk"
    """`disk`, `cdrom`, `floppy` or `lun`"""
    type: str = ""
    """`file`, `block`, `volume`, `network` …"""
    format: str = ""
    """`qcow2`, `raw` …"""
    source: str = ""
    """Where it lies on the hypervisor's machine: a path, or the name in its pool or on the network."""
    read_only: bool = False
    """Whether the machine cannot write to it."""


class MachineNic(_Part):
    """A network interface of a virtual machine."""

    mac: str = ""
    """`52:54:00:12:34:56`"""
    model: str = ""
    """`virtio`, `e1000` …"""
    type: str = ""
    """`network`, `bridge`, `user` …"""
    source: str = ""
    """The network or bridge that it is on, by name; empty for `user`."""


class Machine(_Part):
    """What the hypervisor knows and the file system does not. Source: libvirt's *Domain XML format*."""

    name: str
    """The domain's name."""
    uuid: str = ""
    """The domain's UUID."""
    state: str = ""
    """`running` or `shut off`, when it was scanned."""
    hypervisor: str = ""
    """`qemu`, `kvm` …"""
    arch: str = ""
    """`x86_64`"""
    machine: str = ""
    """The chipset: `pc-i440fx-7.2`"""
    memory: int = 0
    """MiB"""
    cpus: int = 0
    """How many virtual processors."""
    firmware: str = "bios"
    """`bios` or `efi`"""
    disks: list[MachineDisk] = Field(default_factory=list)
    """In the order of the domain's XML."""
    nics: list[MachineNic] = Field(default_factory=list)
    """In the order of the domain's XML."""


Facts = Container | Machine
"""What an engine knows of a live system."""


class System(_Part):
    """The machine itself."""

    os_release: dict[str, str] = Field(default_factory=dict)
    """Every key of /etc/os-release."""
    distribution: str = ""
    """UForge's name: `Debian`, `Ubuntu`, `CentOS` …"""
    version: str = ""
    """`12`"""
    codename: str = ""
    """`bookworm`: os-release's VERSION_CODENAME."""
    arch: str = ""
    """The kernel's name: `x86_64`"""
    package_arch: str = ""
    """The package manager's name: `amd64`"""
    kernel: str = ""
    """Release of the running kernel, or of the newest that is installed: `6.1.0-18-amd64`; empty where there is none."""
    hostname: str = ""
    """As /etc/hostname has it."""
    init: str = ""
    """`systemd`, `sysvinit` or empty: what /sbin/init is."""
    timezone: str = ""
    """Name in the zone database: `Europe/Paris`."""
    locale: str = ""
    """The value of LANG: `en_US.UTF-8`."""
    keyboard: str = ""
    """XKB layout, with its variant after a colon, or else the console's keymap."""
    container: Container | None = None
    """What the container engine knows; None for anything else than a container."""
    machine: Machine | None = None
    """What the hypervisor knows; None for anything else than a virtual machine."""


class Package(_Part):
    """One installed package at its exact version."""

    manager: str = "dpkg"
    """`dpkg`, `rpm` or `apk`."""
    name: str
    """Without its architecture."""
    version: str
    """As the manager writes it: `1:2.3-4`."""
    arch: str
    """The manager's name: `amd64`, `all`, `x86_64`, `noarch` …"""
    auto: bool = False
    """Installed as a dependency only."""
    hold: bool = False
    """Whether the administrator keeps it from being upgraded."""
    status: str = "installed"
    """dpkg's third word, as in `installed`, `config-files`, `half-configured`."""
    wanted: str = ""
    """What dpkg was told to do with it, where that is neither to install nor to hold it: `deinstall`, `purge`."""
    flag: str = ""
    """`reinstreq` where dpkg says that it is broken and must be installed again."""
    essential: bool = False
    """dpkg's `Essential: yes`."""
    source: str = ""
    """The source package that it was built from."""
    size: int = 0
    """Installed size in bytes as declared by the package."""
    section: str = ""
    """The kind of package: Debian's section, rpm's group."""
    module: str = ""
    """rpm's modularity label: `name:stream:version:context`."""
    left: list[str] = Field(default_factory=list)
    """Configuration that dpkg still holds against what was shipped once: all of a removed package's, of an installed one's what is obsolete."""
    modes: bool = False
    """Whether it is known which modes and owners it ships. dpkg keeps no record: only where the machine still has the very .deb file."""


class Repository(_Part):
    """One source of packages, as configured on the machine."""

    manager: str = "apt"
    """Which program reads it: `apt`, `yum`, `zypp` or `apk`."""
    file: str
    """Where it is configured."""
    types: list[str] = Field(default_factory=list)
    """`deb`, `deb-src`, `apk`, `rpm-md`, or as a section of zypper says it."""
    uris: list[str] = Field(default_factory=list)
    """Where its packages are."""
    suites: list[str] = Field(default_factory=list)
    """`bookworm`, `bookworm-updates`; empty for other managers than apt."""
    components: list[str] = Field(default_factory=list)
    """`main`, `contrib`; the section's name of a yum repository."""
    options: dict[str, str] = Field(default_factory=dict)
    """Everything else that is said of it, name -> value: `signed-by`, `gpgcheck` …"""
    enabled: bool = True
    """Whether packages are taken from it."""


class User(_Part):
    """A line of passwd. The password hash itself is only in the overlay."""

    name: str
    """Login."""
    uid: int
    """Number of the user."""
    gid: int
    """Number of the user's own group."""
    gecos: str = ""
    """Full name and whatever else the field has."""
    home: str = ""
    """Absolute path of the home folder."""
    shell: str = ""
    """Absolute path of the login shell; empty: /bin/sh."""
    password: str = "none"
    """`set`, `locked`, `empty` or `none` (no shadow line)."""


class Group(_Part):
    """A line of group."""

    name: str
    """Name of the group."""
    gid: int
    """Number of the group."""
    members: list[str] = Field(default_factory=list)
    """Logins of those who belong to it beside their own group."""


class Service(_Part):
    """A unit and whether it starts by itself."""

    name: str
    """`nginx.service`"""
    state: str
    """As `systemctl is-enabled` would say from the files alone: `enabled`, `disabled`, `masked`, `static`, `alias`."""
    path: str = ""
    """The unit file."""
    package: str | None = None
    """The package that owns the unit file; None for one of the administrator's."""
    wanted_by: list[str] = Field(default_factory=list)
    """Names of the targets that pull it in: the `.wants` and `.requires` links found."""
    exec: str = ""
    """First ExecStart= command line, verbatim."""
    dropins: list[str] = Field(default_factory=list)
    """Files that change the unit (`NAME.d/*.conf`), in the order in which they are applied."""
    schedule: list[str] = Field(default_factory=list)
    """Of a timer: when it fires, as in `OnCalendar=daily`."""


class BlindSpot(_Part):
    """Something that could not be read, and why."""

    path: str
    """Printable: bytes that are not UTF-8 are written as `\\udcff` escapes are."""
    reason: str
    """What reading it ended with: `Permission denied`, or why it was not tried."""


class Redacted(_Part):
    """A secret whose contents stayed on the machine: a build must be given them by other means."""

    path: str
    """Printable, as in `BlindSpot`."""
    secret: str
    """What it is: `private key`, `password hashes` …"""


class ScanReport(_Part):
    """The head of a report: everything but the file table."""

    schema_version: int = SCHEMA
    """Version of this schema."""
    target: str = ""
    """`docker:NAME`, `directory:PATH` …"""
    created: str = ""
    """ISO 8601, UTC."""
    overlay: bool = False
    """Whether contents were brought home: `overlay.tar.zst` lies beside the report."""
    system: System = Field(default_factory=System)
    """The machine itself."""
    packages: list[Package] = Field(default_factory=list)
    """Every package that the managers know."""
    repositories: list[Repository] = Field(default_factory=list)
    """Where packages come from."""
    users: list[User] = Field(default_factory=list)
    """Lines of passwd."""
    groups: list[Group] = Field(default_factory=list)
    """Lines of group."""
    services: list[Service] = Field(default_factory=list)
    """Units, and init scripts where there is no systemd."""
    mounts: list[dict[str, str]] = Field(default_factory=list)
    """Mount points inside the tree: `path`, `type`, `source`."""
    network: dict[str, Any] = Field(default_factory=dict)
    """`interfaces`, `resolvers`, `hosts` as far as they could be read; `addresses` and `routes` of a running system."""
    configuration: Configuration = Field(default_factory=Configuration)
    """How the machine is set up, as far as its files say it."""
    blind_spots: list[BlindSpot] = Field(default_factory=list)
    """What could not be read: a scan that has any ends with exit code 2."""
    redacted: list[Redacted] = Field(default_factory=list)
    """Secrets that the overlay does not hold; empty unless the scan was told to leave them out."""
    counts: dict[str, int] = Field(default_factory=dict)
    """Number of paths in each `State`, and `files` in all."""
    bytes: int = 0
    """Sum of the sizes of regular files, each inode once."""
    excludes: list[str] = Field(default_factory=list)
    """Paths that were left out because it was asked for."""
    digest: str = ""
    """sha256 over the canonical file table: two scans of an idle system give the same."""


class Report:
    """A report on disk, for reading."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.head = ScanReport.model_validate_json((folder / "head.json").read_bytes())

    def files(self) -> Iterator[FileEntry]:
        """The file table in walk order. Raises ValueError when the table is cut or damaged."""
        for line in self.lines():
            yield FileEntry.from_json(line)

    def lines(self) -> Iterator[bytes]:
        """The file table's lines, unread. Raises ValueError when the table is cut or damaged, or has a line without end."""
        count = 0
        try:
            with (self.folder / "files.ndjson.zst").open("rb") as packed:
                with zstandard.ZstdDecompressor().stream_reader(packed) as reader:
                    for line in iter(partial(io.BufferedReader(reader, 1 << 20).readline, LONGEST_LINE), b""):
                        count += 1
                        if len(line) == LONGEST_LINE:
                            raise ValueError(f"line {count} of the file table is longer than any can be")
                        yield line
        except zstandard.ZstdError as error:
            raise ValueError(f"the file table in {self.folder} is damaged: {error}") from error
        if count != self.head.counts.get("files", count):
            raise ValueError(f"the file table in {self.folder} is cut")


@contextmanager
def file_table(folder: Path) -> Iterator[io.BufferedWriter]:
    """A writer for `files.ndjson.zst`; complete only when the block ends well (temporary name, then renamed)."""
    partial = folder / "files.ndjson.zst.partial"
    try:
        with partial.open("wb") as out:
            # Level 1 packs a table of digests smaller than level 3, in half of the time.
            with zstandard.ZstdCompressor(level=1).stream_writer(out, closefd=False) as packer:
                with io.BufferedWriter(packer, 1 << 20) as lines:  # type: ignore[type-var]
                    yield lines  # type: ignore[misc]
        partial.rename(folder / "files.ndjson.zst")
    finally:
        partial.unlink(missing_ok=True)


def write_head(folder: Path, head: ScanReport) -> None:
    """Write `head.json` in one move."""
    write_whole(folder / "head.json", head.model_dump_json(indent=1))
