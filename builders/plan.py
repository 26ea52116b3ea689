"""The build plan: everything that is decided before anything is touched. Pure data from a report and a spec."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from builders.additions import BOOTS, additions
from builders.archive import PackageId, nearest
from builders.capture import archive_of, bare, captured, identity, installed, removed
from builders.errors import BuildFailed
from builders.image import Addition
from builders.spec import BuilderSpec
from scanner.errors import Unreachable, UserError
from scanner.overlay import FOREIGN
from scanner.report import Group, Package, Report, ScanReport, State, User

_DIB_ARCHES = {"amd64": "x86_64"}
_SYSTEM_IDS = range(1000)


class Verdict(StrEnum):
    """Where a package of the source comes from."""

    ARCHIVE = "archive"
    """A repository in reach offers exactly this version."""
    REPACK = "repack"
    """No repository offers it; the scan captured its files, so it is packed again from them."""
    NEAREST = "nearest"
    """No repository offers it and the scan did not capture it; the spec takes the nearest version that there is."""
    ABSENT = "absent"
    """No repository offers it in any version that the spec allows, and the scan did not capture it: it cannot be brought."""


class PlannedPackage(BaseModel):
    """One package of the source."""

    model_config = ConfigDict(extra="forbid")

    name: str
    arch: str
    version: str
    auto: bool
    hold: bool
    wanted: str = ""
    """What dpkg was told to do with it beside installing and holding it (`Package.wanted`)."""
    verdict: Verdict
    nearest: str = ""
    """The version that is installed in the place of the source's."""

    @property
    def id(self) -> PackageId:
        """What is installed."""
        return PackageId(self.name, self.arch, self.nearest or self.version)


class BuildPlan(BaseModel):
    """All that a build will do; `plan.json` beside the image."""

    model_config = ConfigDict(extra="forbid")

    codename: str
    arch: str
    components: list[str]
    hostname: str
    timezone: str
    hosts: list[str] = Field(default_factory=list)
    """Lines of hosts(5) that somebody added to a container, whose engine writes the file itself."""
    packages: list[PlannedPackage]
    removed: list[Package] = Field(default_factory=list)
    """Removed on the source and not purged: nothing is installed, what dpkg kept of them comes back."""
    additions: list[Addition]
    substitutes: list[Addition] = Field(default_factory=list)
    """Versions that are installed in the place of the source's, as `name=version`, each with its reason."""
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
    replicate: bool = False
    """Every package is packed again; repositories give what is added alone, as far as they are in reach."""
    merged_usr: bool = True
    """Whether /bin, /sbin and /lib are links into /usr, as on the source."""
    network: str = "dhcp"
    """`dhcp` or `keep`; see `builders.spec.POLICIES`."""
    compression: str = "zstd"
    compat: str = "1.1"
    """Of a qcow2; see `builders.spec.POLICIES`."""
    command_unit: str | None = None
    """A systemd unit for the container's own command, when no packaged unit starts it."""
    offline: bool = False
    """Whether nothing may be fetched: lists and packages are those in the cache."""
    lenient: bool = False
    """Whether versions that cannot be had are replaced or left out (`packages: nearest`)."""
    not_brought: dict[str, int] = Field(default_factory=dict)


def blocker(head: ScanReport) -> tuple[str, str] | None:
    """Why a system of this kind cannot be built here: the code of a rehearsal's point, and the reason. None when it can."""
    system = head.system
    if system.distribution != "Debian" or not system.codename:
        return "distribution", f"a system of the kind '{system.distribution or 'unknown'} {system.version}' cannot be built yet: only Debian"
    if system.package_arch not in _DIB_ARCHES:
        return "architecture", f"a system of architecture '{system.package_arch}' cannot be built on this machine (only amd64)"
    return None


def supported(head: ScanReport) -> None:
    """Raises `UserError` with the reason when a system of this kind cannot be built here."""
    if why := blocker(head):
        raise UserError(why[1], hint="forgelet scan list shows what was scanned")


def make_plan(report: Report, spec: BuilderSpec, cache: Path) -> BuildPlan:
    """Decide everything about the image of `report` that `spec` asks for. Raises `BuildFailed` when the archive is out of reach."""
    head = report.head
    supported(head)
    packages = _packages(report, spec, cache)
    present = {package.name for package in packages}
    return BuildPlan(
        codename=head.system.codename,
        arch=head.system.package_arch,
        components=sorted({"main"} | {part for r in head.repositories for part in r.components if part in ("contrib", "non-free", "non-free-firmware")}),
        hostname=head.system.hostname,
        timezone=head.system.timezone,
        hosts=_added_hosts(head),
        packages=packages,
        removed=removed(head) if head.overlay else [],
        additions=_in_reach(head, additions(head.system.codename, present), cache, spec.offline) if spec.strategy == "replicate" else additions(head.system.codename, present),
        substitutes=_substitutes(packages),
        users=head.users,
        groups=head.groups,
        overlay=head.overlay,
        disk_size=spec.disk_size,
        memory=spec.memory,
        formats=list(spec.formats),
        filesystem=_derived_uuid(packages, spec.disk_size),
        disk_id=f"0x{_digest(packages, spec.disk_size)[:8]}",
        replicate=spec.strategy == "replicate",
        merged_usr=merged_usr(report),
        network=spec.network,
        offline=spec.offline,
        compression=spec.compression,
        compat=spec.compat,
        lenient=spec.packages == "nearest",
        command_unit=command_unit(head),
        not_brought=_not_brought(report, packages),
    )


def _packages(report: Report, spec: BuilderSpec, cache: Path) -> list[PlannedPackage]:
    """Each installed package with its verdict. Raises `BuildFailed` when the lists are out of reach."""
    head = report.head
    whole = captured(report.folder)
    if (report.folder / FOREIGN).exists():
        whole |= bare(report)
    if spec.strategy == "replicate":
        return [_planned(one, Verdict.REPACK if one.name in whole else Verdict.ABSENT) for one in installed(head)]
    archive = archive_of(head, cache, offline=spec.offline)
    archive.refresh()
    offered = archive.offers()
    made = []
    for one in installed(head):
        if identity(one) in offered:
            made.append(_planned(one, Verdict.ARCHIVE))
        elif one.name in whole:
            made.append(_planned(one, Verdict.REPACK))
        else:
            version = nearest(identity(one), offered) if spec.packages == "nearest" else ""
            made.append(_planned(one, Verdict.NEAREST if version else Verdict.ABSENT, version))
    return made


def _planned(package: Package, verdict: Verdict, nearest: str = "") -> PlannedPackage:
    return PlannedPackage(
        name=package.name, arch=package.arch, version=package.version, auto=package.auto, hold=package.hold, wanted=package.wanted, verdict=verdict, nearest=nearest
    )


def _substitutes(packages: Iterable[PlannedPackage]) -> list[Addition]:
    return [
        Addition(item=f"{one.name}={one.nearest}", reason=f"the nearest version to {one.version}, which no repository offers")
        for one in packages
        if one.verdict is Verdict.NEAREST
    ]


def _in_reach(head: ScanReport, wanted: list[Addition], cache: Path, offline: bool) -> list[Addition]:
    """Those that a repository offers, and those without which nothing starts (a rehearsal says when they are out of reach)."""
    archive = archive_of(head, cache, offline=offline)
    try:
        archive.refresh()
    except (BuildFailed, Unreachable):
        return [one for one in wanted if one.item in BOOTS]
    names = {package.name for package in archive.offers()}
    return [one for one in wanted if one.item in BOOTS or one.item in names]


def merged_usr(report: Report) -> bool:
    """Whether /bin of the source is a link; a source of which nothing is known is as new ones are."""
    entry = next((entry for entry in report.files() if entry.path == "/bin"), None)
    return entry is None or entry.type == "symlink"


def _added_hosts(head: ScanReport) -> list[str]:
    lines = head.network.get("hosts", []) if head.system.container else []
    own = {"localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback", "ip6-localnet", "ip6-mcastprefix", "ip6-allnodes", "ip6-allrouters", head.system.hostname}
    return [line for line in lines if own.isdisjoint(line.split()[1:])]


def _digest(packages: Iterable[PlannedPackage], disk_size: int) -> str:
    rows = sorted(f"{p.name} {p.arch} {p.nearest or p.version}" for p in packages)
    return hashlib.sha256(json.dumps([rows, disk_size]).encode()).hexdigest()


def _derived_uuid(packages: Iterable[PlannedPackage], disk_size: int) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"forgelet:{_digest(packages, disk_size)}"))


def _not_brought(report: Report, packages: Iterable[PlannedPackage]) -> dict[str, int]:
    found = {"packages": sum(1 for one in packages if one.verdict is Verdict.ABSENT), "redacted": len(report.head.redacted)}
    if not report.head.overlay:
        changed = (State.UNMANAGED, State.CONFFILE_CHANGED, State.MANAGED_CHANGED)
        found["no overlay"] = sum(1 for entry in report.files() if entry.state in changed)
    return {reason: count for reason, count in found.items() if count}


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
