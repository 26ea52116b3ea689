"""What is on a container's disk, by find, sha256sum, getfattr, getfacl and dpkg inside it, and lseek from outside: nothing of ours."""

from __future__ import annotations

import os
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import Any

PRUNED = r"-path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /var/lib/apt/lists -o -path /var/cache/apt/archives"
FIND = rf"find / -xdev \( {PRUNED} -o -path /etc/hosts -o -path /etc/hostname -o -path /etc/resolv.conf -o -path /.dockerenv \) -prune -o"
SKIP_BELOW = ("/proc", "/sys", "/dev", "/run", "/tmp", "/var/lib/apt/lists", "/var/cache/apt/archives")
LETTERS = {"f": "file", "d": "directory", "l": "symlink", "p": "fifo", "c": "char", "b": "block", "s": "socket"}

Snapshot = dict[str, dict[str, Any]]
Rows = dict[tuple[str, str], dict[str, str]]


def shell(container: str, script: str) -> bytes:
    return subprocess.run(["docker", "exec", container, "sh", "-c", script], capture_output=True, check=True).stdout


def snapshot(container: str) -> Snapshot:
    """Every path with everything that a comparison may tell of it."""
    words = shell(container, FIND + r" -printf '%p\0%y\0%m\0%U\0%G\0%s\0%T@\0%n\0%D:%i\0%b\0%l\0'").split(b"\0")[:-1]
    pid = subprocess.run(["docker", "inspect", "-f", "{{.State.Pid}}", container], capture_output=True, check=True, text=True).stdout.strip()
    found: Snapshot = {}
    inodes: defaultdict[str, list[str]] = defaultdict(list)
    for start in range(0, len(words), 11):
        path, letter, mode, uid, gid, size, mtime, links, inode, blocks, target = map(os.fsdecode, words[start : start + 11])
        found[path] = {"type": LETTERS[letter], "mode": mode, "uid": uid, "gid": gid, "size": size if letter in "fl" else "0", "mtime": mtime, "target": target}
        if letter == "f" and int(blocks) * 512 < int(size):
            found[path]["extents"] = _islands(Path(f"/proc/{pid}/root"), path, int(size))
        if int(links) > 1 and letter != "d":
            inodes[inode].append(path)
    for paths in inodes.values():
        first, *others = sorted(paths, key=lambda path: os.fsencode(path).split(b"/"))
        for other in others:
            found[other]["hardlink"] = first
    _digests(container, found)
    _attributes(container, found)
    _flags(container, found)
    return found


def _islands(root: Path, path: str, size: int) -> list[tuple[int, int]]:
    """Where a file's data are; [] for nothing but a hole."""
    found, end = [], 0
    with Path(f"{root}{path}").open("rb") as file:
        while end < size:
            try:
                start = os.lseek(file.fileno(), end, os.SEEK_DATA)
            except OSError:
                break
            end = os.lseek(file.fileno(), start, os.SEEK_HOLE)
            found.append((start, end))
    return found


def _digests(container: str, found: Snapshot) -> None:
    for line in shell(container, FIND + r" -type f -print0 | xargs -0 sha256sum -z").split(b"\0")[:-1]:
        found[os.fsdecode(line[66:])]["sha256"] = line[:64].decode()


def _flags(container: str, found: Snapshot) -> None:
    """What lsattr shows, but for what the file system says of itself."""
    for line in shell(container, "lsattr -R /etc /usr /srv /opt /home /root /var 2>/dev/null || true").split(b"\n"):
        flags, _, path = os.fsdecode(line).partition(" ")
        letters = flags.replace("-", "").replace("e", "").replace("I", "")
        if letters and path in found:
            found[path]["flags"] = letters


def _attributes(container: str, found: Snapshot) -> None:
    """getfattr for what people and capabilities set, getfacl for ACLs."""
    for tool, marks in (("getfattr -h -d -e base64 -m '^(user|security)\\.'", b"# file: "), ("getfacl -n -p -s", b"# file: ")):
        said = shell(container, FIND + rf" \( -type f -o -type d \) -print0 | xargs -0 {tool} --absolute-names 2>/dev/null || true")
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


def rows(container: str) -> Rows:
    """Packages, users and groups as dpkg-query and getent tell them."""
    found: Rows = {}
    # apt-mark would write its caches anew, which is a change of the system.
    auto = set(shell(container, "awk '/^Package:/ {p=$2} /^Auto-Installed: 1/ {print p}' /var/lib/apt/extended_states").decode().split())
    for line in shell(container, r"dpkg-query -W -f '${Package} ${Architecture} ${Version} ${db:Status-Want}\n'").decode().splitlines():
        name, arch, version, want = line.split(" ")
        found["packages", f"{name}:{arch}"] = {"version": version, "hold": str(want == "hold"), "auto": str(name in auto)}
    shadow = {line.split(":")[0]: line.split(":")[1] for line in shell(container, "cat /etc/shadow").decode().splitlines()}
    for line in shell(container, "getent passwd").decode().splitlines():
        name, _, uid, gid, _, home, program = line.split(":")
        found["users", name] = {"uid": uid, "gid": gid, "home": home, "shell": program, "password": shadow.get(name, "")}
    for line in shell(container, "getent group").decode().splitlines():
        name, _, gid, members = line.split(":")
        found["users", f"group {name}"] = {"gid": gid, "members": members}
    return found


def row_differences(before: Rows, after: Rows) -> dict[tuple[str, str], set[str]]:
    found: dict[tuple[str, str], set[str]] = {}
    for key in before.keys() | after.keys():
        one, other = before.get(key), after.get(key)
        if one != other:
            found[key] = {"presence"} if one is None or other is None else {field for field in one if one[field] != other[field]}
    return found
