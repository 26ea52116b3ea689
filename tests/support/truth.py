"""What is on a live system, by its own find, sha256sum, getfattr, getfacl, lsattr, dpkg and rpm, and by lseek: nothing of ours."""

from __future__ import annotations

import inspect
import json
import os
import shlex
import subprocess
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.holes import data_ranges

PRUNED = ("/proc", "/sys", "/dev", "/run", "/tmp", "/var/lib/apt/lists", "/var/cache/apt/archives", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/.dockerenv")
LETTERS = {"f": "file", "d": "directory", "l": "symlink", "p": "fifo", "c": "char", "b": "block", "s": "socket"}

Snapshot = dict[str, dict[str, Any]]
Rows = dict[tuple[str, str], dict[str, str]]


@dataclass(frozen=True)
class System:
    """A way into a live system. `root` is its tree as this machine sees it, None where it cannot; `pruned` is not looked at."""

    shell: Callable[[bytes], bytes]
    root: Path | None = None
    pruned: Sequence[str] = ()

    @property
    def find(self) -> str:
        return rf"find / -xdev \( {' -o '.join(f'-path {path}' for path in (*PRUNED, *self.pruned))} \) -prune -o"

    def said(self, script: str) -> bytes:
        return self.shell(script.encode())


def container(name: str) -> System:
    pid = subprocess.run(["docker", "inspect", "-f", "{{.State.Pid}}", name], capture_output=True, check=True, text=True).stdout.strip()
    return System(piped("docker", "exec", "--interactive", name, "sh"), Path(f"/proc/{pid}/root"))


def piped(*argv: str) -> Callable[[bytes], bytes]:
    """A shell that reads its script from standard input."""
    return lambda script: subprocess.run(argv, input=script, capture_output=True, check=True).stdout


def snapshot(system: System) -> Snapshot:
    """Every path with everything that a comparison may tell of it."""
    words = system.said(system.find + r" -printf '%p\0%y\0%m\0%U\0%G\0%s\0%T@\0%n\0%D:%i\0%b\0%l\0'").split(b"\0")[:-1]
    found: Snapshot = {}
    inodes: defaultdict[str, list[str]] = defaultdict(list)
    sparse: list[str] = []
    for start in range(0, len(words), 11):
        path, letter, mode, uid, gid, size, mtime, links, inode, blocks, target = map(os.fsdecode, words[start : start + 11])
        found[path] = {"type": LETTERS[letter], "mode": mode, "uid": uid, "gid": gid, "size": size if letter in "fl" else "0", "mtime": mtime, "target": target}
        if letter == "f" and int(blocks) * 512 < int(size):
            sparse.append(path)
        if int(links) > 1 and letter != "d":
            inodes[inode].append(path)
    for path, ranges in zip(sparse, _islands(system, sparse), strict=True):
        found[path]["extents"] = ranges
    for paths in inodes.values():
        first, *others = sorted(paths, key=lambda path: os.fsencode(path).split(b"/"))
        for other in others:
            found[other]["hardlink"] = first
    _digests(system, found)
    _attributes(system, found)
    _flags(system, found)
    return found


def _islands(system: System, paths: Sequence[str]) -> list[list[tuple[int, int]]]:
    """Where the data of files are: seen from here, or, where that is not possible, by the same function inside."""
    if system.root is not None:
        return [data_ranges(f"{system.root}{path}") for path in paths]
    program = f"import os, json\n{inspect.getsource(data_ranges)}\nprint(json.dumps([data_ranges(path) for path in {list(paths)!a}]))"
    said = system.said(f"python3 -c {shlex.quote(program)}")
    return [[(start, end) for start, end in ranges] for ranges in json.loads(said)]


def _digests(system: System, found: Snapshot) -> None:
    for line in system.said(system.find + r" -type f -print0 | xargs -0 sha256sum -z").split(b"\0")[:-1]:
        found[os.fsdecode(line[66:])]["sha256"] = line[:64].decode()


def _flags(system: System, found: Snapshot) -> None:
    """What lsattr shows, but for what the file system says of itself."""
    areas = " ".join(area for area in ("/etc", "/usr", "/srv", "/opt", "/home", "/root", "/var") if area not in system.pruned)
    for line in system.said(f"lsattr -Ra {areas} 2>/dev/null || true").split(b"\n"):
        flags, _, path = os.fsdecode(line).partition(" ")
        letters = flags.replace("-", "").replace("e", "").replace("I", "")
        if letters and path in found:
            found[path]["flags"] = letters


def _attributes(system: System, found: Snapshot) -> None:
    """getfattr for what people and capabilities set, getfacl for ACLs."""
    for tool, marks in (("getfattr -h -d -e base64 -m '^(user|security)\\.'", b"# file: "), ("getfacl -n -p -s", b"# file: ")):
        said = system.said(system.find + rf" \( -type f -o -type d \) -print0 | xargs -0 {tool} --absolute-names 2>/dev/null || true")
        for block in said.split(b"\n\n"):
            head, _, rest = block.strip(b"\n").partition(b"\n")
            path = _unescaped(head.removeprefix(marks))
            if path in found:
                named = [line for line in rest.split(b"\n") if tool.startswith("getfattr") or _named(line)]
                found[path].setdefault("xattrs", []).extend(named)


def _named(line: bytes) -> bool:
    """Whether a line of getfacl says more than the mode does."""
    return line.startswith((b"default:", b"mask")) or (line.count(b":") == 2 and b"::" not in line and not line.startswith(b"#"))


def _unescaped(name: bytes) -> str:
    """As getfattr and getfacl write names: `\\012`."""
    parts = name.split(b"\\")
    return os.fsdecode(parts[0] + b"".join(bytes([int(part[:3], 8)]) + part[3:] if part[:3].isdigit() else b"\\" + part for part in parts[1:]))


def differences(before: Snapshot, after: Snapshot) -> dict[str, set[str]]:
    """Path -> what differs; `presence` alone where it came or went."""
    found: dict[str, set[str]] = {}
    for path in before.keys() | after.keys():
        one, other = before.get(path), after.get(path)
        if one is None or other is None:
            found[path] = {"presence"}
            continue
        fields = {field for field in one.keys() | other.keys() if one.get(field) != other.get(field)}
        if "file" not in (one["type"], other["type"]):
            fields.discard("size")
        if fields:
            found[path] = fields
    return found


def rows(system: System) -> Rows:
    """Packages, users and groups as dpkg-query, rpm and getent tell them."""
    found: Rows = {}
    _dpkg(system, found)
    _rpm(system, found)
    shadow = {line.split(":")[0]: line.split(":")[1] for line in system.said("cat /etc/shadow").decode().splitlines()}
    for line in system.said("getent passwd").decode().splitlines():
        name, _, uid, gid, _, home, program = line.split(":")
        found["users", name] = {"uid": uid, "gid": gid, "home": home, "shell": program, "password": shadow.get(name, "")}
    for line in system.said("getent group").decode().splitlines():
        name, _, gid, members = line.split(":")
        found["users", f"group {name}"] = {"gid": gid, "members": members}
    return found


def _dpkg(system: System, found: Rows) -> None:
    # apt-mark would write its caches anew, which is a change of the system.
    auto = set(system.said("awk '/^Package:/ {p=$2} /^Auto-Installed: 1/ {print p}' /var/lib/apt/extended_states 2>/dev/null || true").decode().split())
    for line in system.said(r"dpkg-query -W -f '${Package} ${Architecture} ${Version} ${db:Status-Want}\n' 2>/dev/null || true").decode().splitlines():
        name, arch, version, want = line.split(" ")
        found["packages", f"{name}:{arch}"] = {"version": version, "hold": str(want == "hold"), "auto": str(name in auto)}


def _rpm(system: System, found: Rows) -> None:
    # From a copy: rpm writes into its database's folder even when it is only asked.
    query = r"rpm --dbpath /tmp/.truth -qa --qf '%{NAME} %{ARCH} %{EVR}\n'"
    locked = set(system.said("cat /etc/dnf/plugins/versionlock.list 2>/dev/null || true").decode().split())
    for line in system.said(f"[ -d /var/lib/rpm ] || exit 0; cp -r /var/lib/rpm /tmp/.truth; {query}; rm -r /tmp/.truth").decode().splitlines():
        name, arch, version = line.split(" ")
        found["packages", f"{name}:{arch}"] = {"version": version, "hold": str(name in locked), "auto": "False"}


def row_differences(before: Rows, after: Rows) -> dict[tuple[str, str], set[str]]:
    found: dict[tuple[str, str], set[str]] = {}
    for key in before.keys() | after.keys():
        one, other = before.get(key), after.get(key)
        if one != other:
            found[key] = {"presence"} if one is None or other is None else {field for field in one if one[field] != other[field]}
    return found
