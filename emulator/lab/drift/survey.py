"""What a live system offers to be changed: established by its own tools (find, getfattr, dpkg's files, rpm), not by the scanner."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from emulator.lab.drift.record import Shell

AREAS = ("/etc", "/usr/share/doc", "/usr/share/man", "/usr/share/zoneinfo", "/usr/share/bash-completion", "/usr/share/nginx", "/usr/local", "/srv", "/opt", "/home", "/root", "/var/www")
"""Where mutations happen: the system goes on working."""
_FIND = r"%p\0%y\0%m\0%U\0%G\0%s\0%n\0%b\0%D:%i\0"
_WIDTH = 9
_CAT = rb"""find /lib/systemd/system /usr/lib/systemd/system -maxdepth 1 -name '*.service' -type f -exec sh -c '
  for f; do printf "%s\0" "$f"; cat "$f"; printf "\0"; done' - {} + 2>/dev/null || true"""
_TOOLS = ("setfacl", "setfattr", "setcap", "mknod", "mkfifo", "perl", "fallocate", "truncate", "chattr")


@dataclass(frozen=True, slots=True)
class Path:
    """One path as find(1) tells it. `type` is find's letter."""

    path: str
    type: str
    mode: int
    uid: int
    gid: int
    size: int
    links: int
    blocks: int
    inode: str

    @property
    def sparse(self) -> bool:
        return self.type == "f" and self.blocks * 512 < self.size


@dataclass(frozen=True, slots=True)
class Unit:
    """A service unit of a package."""

    name: str
    wanted_by: tuple[str, ...]
    runs: bool
    """Whether it has an ExecStart=."""
    plain: bool
    """Without alias, template or companions: its state is its own affair."""


@dataclass(slots=True)
class Survey:
    """The offer."""

    paths: dict[str, Path] = field(default_factory=dict)
    owned: set[str] = field(default_factory=set)
    conffiles: set[str] = field(default_factory=set)
    attributed: set[str] = field(default_factory=set)
    """Paths with attributes, ACLs and capabilities included."""
    units: dict[str, Unit] = field(default_factory=dict)
    links: list[str] = field(default_factory=list)
    """Every symlink below /etc/systemd/system."""
    passwd: list[list[str]] = field(default_factory=list)
    shadow: list[list[str]] = field(default_factory=list)
    group: list[list[str]] = field(default_factory=list)
    packages: list[tuple[str, str, str]] = field(default_factory=list)
    """Name, architecture, selection (`install`, `hold`) of packages that dpkg knows."""
    rpms: list[tuple[str, str]] = field(default_factory=list)
    """Name and architecture of packages that rpm knows, in a database that can be edited."""
    auto: set[str] = field(default_factory=set)
    tools: set[str] = field(default_factory=set)


def survey(shell: Shell, areas: Sequence[str] = AREAS) -> Survey:
    """Look around in folders. Raises `StepFailed`."""
    found = Survey()
    where = " ".join(areas)
    _paths(found, shell(f"find {where} -xdev -printf '{_FIND}' 2>/dev/null || true".encode()))
    said = shell(f"getfattr -hR -m - --absolute-names {where} 2>/dev/null || true".encode())
    found.attributed = {_unescaped(line[8:]) for line in said.split(b"\n") if line.startswith(b"# file: ")}
    found.attributed |= set(_flagged(shell(f"lsattr -Ra {where} 2>/dev/null || true".encode())))
    _services(found, shell)
    _accounts(found, shell)
    _dpkg(found, shell)
    _rpm(found, shell)
    tools = shell(f"for tool in {' '.join(_TOOLS)}; do command -v $tool || true; done".encode())
    found.tools = {path.rpartition("/")[2] for path in _lines(tools)}
    return found


def _flagged(said: bytes) -> Iterable[str]:
    """Paths with inode flags of an administrator; `e` and `I` are the file system's own."""
    for line in _lines(said):
        flags, _, path = line.partition(" ")
        if set(flags) - set("-eI") and path.startswith("/") and not path.endswith(":"):
            yield path


def _lines(raw: bytes) -> list[str]:
    return [os.fsdecode(line) for line in raw.split(b"\n") if line]


def _merged(path: str) -> str:
    """As it is with a merged /usr."""
    return "/usr" + path if path.startswith(("/bin/", "/sbin/", "/lib/", "/lib64/")) else path


def _unescaped(name: bytes) -> str:
    return os.fsdecode(re.sub(rb"\\([0-7]{3})", lambda found: bytes([int(found[1], 8)]), name))


def _paths(found: Survey, raw: bytes) -> None:
    words = raw.split(b"\0")[:-1]
    for start in range(0, len(words), _WIDTH):
        path, kind, mode, uid, gid, size, links, blocks, inode = map(os.fsdecode, words[start : start + _WIDTH])
        if path not in ("/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/etc/mtab"):
            found.paths[path] = Path(path, kind, int(mode, 8), int(uid), int(gid), int(size), int(links), int(blocks), inode)


def _services(found: Survey, shell: Shell) -> None:
    found.links = sorted(_lines(shell(b"find /etc/systemd/system -type l 2>/dev/null || true")))
    words = shell(_CAT).split(b"\0")[:-1]
    for path, content in zip(words[::2], words[1::2], strict=True):
        name, text = os.fsdecode(path).rpartition("/")[2], content.decode(errors="replace")
        wanted = tuple(" ".join(re.findall(r"^WantedBy=(.*)$", text, re.MULTILINE)).split())
        tangled = "@" in name or re.search(r"^(Alias|Also|RequiredBy|DefaultInstance)=", text, re.MULTILINE)
        found.units[name] = Unit(name, wanted, bool(re.search(r"^ExecStart=.", text, re.MULTILINE)), not tangled)


def _accounts(found: Survey, shell: Shell) -> None:
    found.passwd, found.shadow, found.group = (_table(shell(f"cat /etc/{name}".encode())) for name in ("passwd", "shadow", "group"))


def _table(raw: bytes) -> list[list[str]]:
    return [line.split(":") for line in _lines(raw)]


def _dpkg(found: Survey, shell: Shell) -> None:
    said = shell(rb"dpkg-query -W -f '${Package} ${Architecture} ${db:Status-Want} ${db:Status-Status}\n' 2>/dev/null || true")
    rows = (line.split(" ") for line in _lines(said))
    found.packages = sorted((name, arch, want) for name, arch, want, status in rows if status == "installed")
    found.auto = set(_field(_lines(shell(b"cat /var/lib/apt/extended_states 2>/dev/null || true")), "Package: "))
    found.owned |= {_merged(line) for line in _lines(shell(b"cat /var/lib/dpkg/info/*.list 2>/dev/null || true"))}
    found.conffiles |= set(_lines(shell(b"cat /var/lib/dpkg/info/*.conffiles 2>/dev/null || true")))


def _rpm(found: Survey, shell: Shell) -> None:
    # From a copy: rpm writes into its database's folder even when it is only asked.
    ask = b"[ -f /var/lib/rpm/rpmdb.sqlite ] || exit 0; cp -r /var/lib/rpm /tmp/.drift-rpm; rpm --dbpath /tmp/.drift-rpm -qa %s; rm -r /tmp/.drift-rpm"
    rows = (line.split(" ") for line in _lines(shell(ask % rb"--qf '%{NAME} %{ARCH}\n'")))
    found.rpms = sorted((name, arch) for name, arch in rows if not name.startswith("gpg-pubkey"))
    found.owned |= {line for line in _lines(shell(ask % b"--list")) if line.startswith("/")}
    found.conffiles |= {line for line in _lines(shell(ask % b"--configfiles")) if line.startswith("/")}


def _field(lines: Iterable[str], name: str) -> Iterable[str]:
    return (line[len(name) :] for line in lines if line.startswith(name))
