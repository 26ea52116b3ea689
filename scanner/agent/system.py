"""The machine itself, from the files of its tree and, where it runs, from its kernel."""

import os
import re
import shlex
from typing import Dict, List, Optional

from scanner.agent import livenetwork, mounts
from scanner.agent.tree import Root, printable

NAMES = {
    "debian": "Debian",
    "ubuntu": "Ubuntu",
    "centos": "CentOS",
    "rhel": "RedHat Enterprise Linux",
    "fedora": "Fedora Core",
    "ol": "Oracle Linux",
    "scientific": "Scientific Linux",
    "sles": "SUSE Linux Enterprise Server",
    "opensuse": "OpenSUSE",
    "opensuse-leap": "OpenSUSE",
    "opensuse-tumbleweed": "OpenSUSE",
    "alpine": "Alpine",
}
"""os-release's ID -> UForge's name of the distribution, as the client takes it (PROTOCOL.md, 1.8; it has none for Alpine)."""
OLD_RELEASE = re.compile(r"(CentOS|Red Hat Enterprise Linux|Scientific Linux|Fedora|Oracle Linux)\D* release (\d[\d.]*)")
OLD_IDS = {"CentOS": "centos", "Red Hat Enterprise Linux": "rhel", "Scientific Linux": "scientific", "Fedora": "fedora", "Oracle Linux": "ol"}
KERNEL_ARCH = {"amd64": "x86_64", "arm64": "aarch64", "i386": "i686", "armhf": "armv7l", "ppc64el": "ppc64le"}
"""dpkg's name of an architecture -> the kernel's."""
INIT = {b"systemd": "systemd", b"init": "sysvinit", b"busybox": "busybox"}


def system(root: Root) -> Dict[str, object]:
    """The `system` line's fields (see `scanner/report.py`, `System`)."""
    release = _assignments(root.read(b"/etc/os-release") or root.read(b"/usr/lib/os-release"))
    release = release or _old_release(root)
    package_arch = _package_arch(root)
    live = mounts.process_folder(root.path) is not None
    machine = os.uname()
    name = release.get("ID", "")
    return {
        "os_release": release,
        "distribution": NAMES.get(name, release.get("NAME", name)),
        "version": release.get("VERSION_ID", ""),
        "codename": release.get("VERSION_CODENAME", ""),
        "arch": KERNEL_ARCH.get(package_arch, package_arch) or (machine.machine if live else ""),
        "package_arch": package_arch,
        "kernel": machine.release if live else _installed_kernel(root),
        "hostname": _first_line(root, b"/etc/hostname"),
        "init": _init(root),
        "timezone": _timezone(root),
        "locale": _locale(root),
        "keyboard": _keyboard(root),
    }


def _old_release(root: Root) -> Dict[str, str]:
    """Of systems older than os-release(5), in its terms."""
    match = OLD_RELEASE.match(_first_line(root, b"/etc/redhat-release"))
    return {"ID": OLD_IDS[match.group(1)], "NAME": match.group(1), "VERSION_ID": match.group(2)} if match else {}


def _keyboard(root: Root) -> str:
    """keyboard(5) of Debian, vconsole.conf(5) elsewhere."""
    debian = _assignments(root.read(b"/etc/default/keyboard"))
    if debian.get("XKBLAYOUT"):
        return ":".join(part for part in (debian["XKBLAYOUT"], debian.get("XKBVARIANT", "")) if part)
    return _assignments(root.read(b"/etc/vconsole.conf")).get("KEYMAP", "")


def mounted(root: Root) -> List[Dict[str, str]]:
    """The `mount` lines: what is mounted inside the tree, by path."""
    table = mounts.mounts(root.path)
    return [
        {"path": printable(path), "type": printable(table[path]["type"]), "source": printable(table[path]["source"])}
        for path in sorted(table)
    ]


def network(root: Root) -> Dict[str, object]:
    """The `network` line: interfaces that the running kernel has or ifupdown configures, resolv.conf(5) servers, hosts(5) lines; of a
    running system its addresses and routes."""
    process = mounts.process_folder(root.path)
    return {
        "interfaces": sorted(set(_live_interfaces(root)) | set(_configured_interfaces(root))),
        "resolvers": [words[1] for words in _words(root, b"/etc/resolv.conf") if words[0] == "nameserver" and len(words) > 1],
        "hosts": [" ".join(words) for words in _words(root, b"/etc/hosts")],
        "addresses": livenetwork.addresses(process) if process else [],
        "routes": livenetwork.routes(process) if process else [],
    }


def _assignments(raw: Optional[bytes]) -> Dict[str, str]:
    """`KEY=value` lines in shell quoting, os-release(5)."""
    found: Dict[str, str] = {}
    for line in printable(raw).splitlines():
        key, sign, value = line.strip().partition("=")
        if sign and key and not key.startswith("#"):
            try:
                found[key] = " ".join(shlex.split(value))
            except ValueError:
                found[key] = value
    return found


def _words(root: Root, path: bytes) -> List[List[str]]:
    lines = printable(root.read(path)).splitlines()
    return [words for words in (line.partition("#")[0].split() for line in lines) if words]


def _first_line(root: Root, path: bytes) -> str:
    return (printable(root.read(path)).splitlines() or [""])[0].strip()


def _package_arch(root: Root) -> str:
    native = _first_line(root, b"/var/lib/dpkg/arch")
    if native:
        return native
    for path in (b"/etc/rpm/platform", b"/etc/apk/arch"):
        named = _first_line(root, path)
        if named:
            return named.partition("-")[0]
    for block in (root.read(b"/var/lib/dpkg/status") or b"").split(b"\n\n"):
        if block.startswith(b"Package: dpkg\n"):
            for line in block.split(b"\n"):
                if line.startswith(b"Architecture: "):
                    return printable(line[14:].strip())
    return ""


def _installed_kernel(root: Root) -> str:
    return printable((root.names(b"/lib/modules") or [b""])[-1])


def _init(root: Root) -> str:
    try:
        real = root.resolve(b"/sbin/init")
        root.lstat(real)
    except OSError:
        return ""
    return INIT.get(real.rpartition(b"/")[2], printable(real))


def _timezone(root: Root) -> str:
    target = root.readlink(b"/etc/localtime") or b""
    _, mark, zone = target.partition(b"zoneinfo/")
    return _first_line(root, b"/etc/timezone") or (printable(zone) if mark else "")


def _locale(root: Root) -> str:
    for path in (b"/etc/default/locale", b"/etc/locale.conf"):
        lang = _assignments(root.read(path)).get("LANG")
        if lang:
            return lang
    return ""


def _live_interfaces(root: Root) -> List[str]:
    process = mounts.process_folder(root.path)
    if process is None:
        return []
    try:
        with open(process + b"/net/dev", "rb") as table:
            return [printable(line.partition(b":")[0].strip()) for line in table if b":" in line]
    except OSError:
        return []


def _configured_interfaces(root: Root) -> List[str]:
    folder = b"/etc/network/interfaces.d"
    paths = [b"/etc/network/interfaces"] + [folder + b"/" + name for name in root.names(folder)]
    return [words[1] for path in paths for words in _words(root, path) if words[0] == "iface" and len(words) > 1]
