"""The build plan: everything that is decided before anything is touched. Pure data from a report and a spec."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from builders.archive import PackageId
from builders.capture import foreign, identity, installed
from builders.errors import SpecError
from builders.image import Addition
from builders.spec import BuilderSpec
from scanner.errors import UserError
from scanner.report import Group, Report, ScanReport, State, User

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
"""The closed list of packages that Forgelet asks for, each with its reason; only those that the source lacks are added."""

RESERVE_MIB = 200
"""Free space that a fresh machine needs for its first boot: logs, cloud-init's records, room for the file system itself."""

ADDED_MIB = 620
"""What the added packages take on disk when all are new (measured on Debian 12: kernel and modules 470, the rest 150)."""

_DIB_ARCHES = {"amd64": "x86_64"}
_SYSTEM_IDS = range(1000)


class Verdict(StrEnum):
    """Where a package of the source comes from."""

    ARCHIVE = "archive"
    """A repository in reach offers exactly this version."""
    REPACK = "repack"
    """No repository offers it; the scan captured its files, so it is packed again from them."""
    ABSENT = "no overlay"
    """No repository offers it and the scan has no overlay: it cannot be brought."""


class PlannedPackage(BaseModel):
    """One package of the source."""

    model_config = ConfigDict(extra="forbid")

    name: str
    arch: str
    version: str
    auto: bool
    hold: bool
    verdict: Verdict

    @property
    def id(self) -> PackageId:
        return PackageId(self.name, self.arch, self.version)


class BuildPlan(BaseModel):
    """All that a build will do; `plan.json` beside the image."""

    model_config = ConfigDict(extra="forbid")

    codename: str
    arch: str
    components: list[str]
    hostname: str
    timezone: str
    packages: list[PlannedPackage]
    additions: list[Addition]
    wanted: list[str] = Field(default_factory=list)
    """Packages that a template asks for, in apt's words (`name`, `name=version`)."""
    users: list[User]
    groups: list[Group]
    overlay: bool
    disk_size: int
    """MiB"""
    memory: int
    """MiB"""
    formats: list[str]
    filesystem: str
    """UUID of the root file system, derived from what the base is made of."""
    disk_id: str
    command_unit: str | None = None
    """A systemd unit for the container's own command, when no packaged unit starts it."""
    not_brought: dict[str, int] = Field(default_factory=dict)


def needed_mib(report: Report) -> int:
    """The smallest disk that holds the source and what is added, in MiB: data rounded up to blocks, inodes, journal, reserve."""
    blocks = files = 0
    for entry in report.files():
        if entry.state in (State.MISSING, State.EXCLUDED):
            continue
        files += 1
        if entry.type == "file" and entry.hardlink in (None, entry.path):
            data = sum(length for _, length in entry.extents) if entry.extents is not None else entry.size
            blocks += -(-data // 4096)
        elif entry.type == "directory":
            blocks += 1
    contents = blocks * 4096 + files * 256
    # 256 bytes of inode for every 8 KiB, 1 % reserved for root, 16 MiB of journal: the file system that the base disk gets.
    return int((contents / 2**20 + ADDED_MIB + RESERVE_MIB + 16) / (1 - 256 / 8192 - 0.01)) + 1


def check(report: Report, specs: list[BuilderSpec], name: str) -> None:
    """Refuse what can be seen to fail before anything starts. Raises `UserError` or `SpecError` (every problem named)."""
    supported(report.head)
    least = needed_mib(report)
    problems = [
        f"line {spec.line}, builders[{number}].installation.diskSize: {spec.disk_size} MiB is too small for the contents; {least} would do"
        for number, spec in enumerate(specs)
        if 0 < spec.disk_size < least
    ]
    if problems:
        raise SpecError(
            f"the template file [{name}] cannot hold the scanned system; nothing was started",
            hint=f"set diskSize to at least {least}",
            problems=problems,
        )


def supported(head: ScanReport) -> None:
    """Raises `UserError` with the reason when a system of this kind cannot be built here."""
    system = head.system
    if system.distribution != "Debian" or not system.codename:
        raise UserError(
            f"a system of the kind '{system.distribution or 'unknown'} {system.version}' cannot be built yet: only Debian",
            hint="forgelet scan list shows what was scanned",
        )
    if system.package_arch not in _DIB_ARCHES:
        raise UserError(f"a system of architecture '{system.package_arch}' cannot be built on this machine (only amd64)")


def make_plan(report: Report, spec: BuilderSpec, cache: Path) -> BuildPlan:
    """Decide everything about the image of `report` that `spec` asks for. Raises `BuildFailed` when the archive is out of reach."""
    head = report.head
    supported(head)
    absent = foreign(head, cache)
    packages = [_planned(package, absent, head.overlay) for package in installed(head)]
    present = {package.name for package in packages}
    return BuildPlan(
        codename=head.system.codename,
        arch=head.system.package_arch,
        components=sorted({"main"} | {part for r in head.repositories for part in r.components if part in ("contrib", "non-free", "non-free-firmware")}),
        hostname=head.system.hostname,
        timezone=head.system.timezone,
        packages=packages,
        additions=[Addition(item=name, reason=reason) for name, reason in ADDED.items() if name not in present],
        users=head.users,
        groups=head.groups,
        overlay=head.overlay,
        disk_size=spec.disk_size,
        memory=spec.memory,
        formats=list(spec.formats),
        filesystem=_derived_uuid(packages, spec.disk_size),
        disk_id=f"0x{_digest(packages, spec.disk_size)[:8]}",
        command_unit=command_unit(head),
        not_brought=_not_brought(report),
    )


def _planned(package: object, absent: set[PackageId], overlay: bool) -> PlannedPackage:
    from scanner.report import Package

    assert isinstance(package, Package)
    missing = identity(package) in absent
    verdict = Verdict.ARCHIVE if not missing else Verdict.REPACK if overlay else Verdict.ABSENT
    return PlannedPackage(
        name=package.name, arch=package.arch, version=package.version, auto=package.auto, hold=package.hold, verdict=verdict
    )


def _digest(packages: Iterable[PlannedPackage], disk_size: int) -> str:
    rows = sorted(f"{p.name} {p.arch} {p.version}" for p in packages)
    return hashlib.sha256(json.dumps([rows, disk_size]).encode()).hexdigest()


def _derived_uuid(packages: Iterable[PlannedPackage], disk_size: int) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"forgelet:{_digest(packages, disk_size)}"))


def _not_brought(report: Report) -> dict[str, int]:
    if report.head.overlay:
        return {"redacted": len(report.head.redacted)} if report.head.redacted else {}
    changed = (State.UNMANAGED, State.CONFFILE_CHANGED, State.MANAGED_CHANGED)
    count = sum(1 for entry in report.files() if entry.state in changed)
    return {Verdict.ABSENT.value: count} if count else {}


def system_accounts(plan: BuildPlan) -> dict[str, str]:
    """`passwd`, `group`, `shadow` and `gshadow` lines of the source's system accounts, to be there before packages ask for them."""
    users = [user for user in plan.users if user.uid in _SYSTEM_IDS]
    groups = [group for group in plan.groups if group.gid in _SYSTEM_IDS]
    return {
        "passwd": "".join(f"{u.name}:x:{u.uid}:{u.gid}:{u.gecos}:{u.home}:{u.shell}\n" for u in users),
        "group": "".join(f"{g.name}:x:{g.gid}:\n" for g in groups),
        "shadow": "".join(f"{u.name}:!:19000::::::\n" for u in users),
        "gshadow": "".join(f"{g.name}:!::\n" for g in groups),
    }


def command_unit(head: ScanReport) -> str | None:
    """The text of a unit for the container's own command; None where there is none or an enabled unit starts the same program."""
    container = head.system.container
    argv = [*container.entrypoint, *container.command] if container else []
    if not container or not argv or _is_shell(argv) or _started_by_unit(argv[0], head):
        return None
    lines = [
        "[Unit]",
        "Description=The command of the container that this machine was migrated from",
        "After=network-online.target",
        "Wants=network-online.target",
        "",
        "[Service]",
        f"ExecStart={' '.join(_quoted(word) for word in argv)}",
        f"WorkingDirectory={(container.working_dir or '/').replace('%', '%%')}",
        *(f"Environment={_quoted(f'{key}={value}', dollar='$')}" for key, value in sorted(container.environment.items()) if key != "PATH"),
        *_user_settings(container.user),
        "Restart=on-failure",
        "",
        "[Install]",
        "WantedBy=multi-user.target",
        "",
    ]
    return "\n".join(lines)


def _user_settings(user: str) -> list[str]:
    """The settings for a container's `USER` or `USER:GROUP`."""
    name, _, group = user.partition(":")
    return ([f"User={name}"] if name not in ("", "0", "root") else []) + ([f"Group={group}"] if group else [])


def _is_shell(argv: list[str]) -> bool:
    # A bare shell or a wait is how a container is kept open, an init is what the machine starts by itself; they are no service.
    program = argv[0].rpartition("/")[2]
    return (program in ("sh", "bash", "dash") and len(argv) == 1) or program in ("sleep", "tail", "init", "systemd")


def _started_by_unit(program: str, head: ScanReport) -> bool:
    name = program.rpartition("/")[2]
    starts = (service.exec.split(" ")[0].lstrip("-@:+!").rpartition("/")[2] for service in head.services if service.state == "enabled")
    return name in starts


def _quoted(word: str, dollar: str = "$$") -> str:
    """A word of a unit file's command line. Source: systemd.service(5), command lines; systemd.syntax(7).

    `dollar` is how a `$` is written: as it is in Environment= (systemd.exec(5)).
    """
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", dollar).replace("\n", "\\n")
    return f'"{escaped}"' if not word or set(word) & set(" \t\"'\\;\n") else escaped
