"""What the kernel is told at boot: sysctl.d(5), modules-load.d(5), modprobe.d(5), and its command line."""

import re
from typing import Dict, Iterator, List

from scanner.agent.tree import Root, printable

Row = Dict[str, object]
LAYERS = (b"/etc/%s", b"/usr/local/lib/%s", b"/usr/lib/%s", b"/lib/%s")
"""A file in an earlier folder hides one of the same name in a later one."""
GRUB = re.compile(r'^\s*(GRUB_CMDLINE_LINUX(?:_DEFAULT)?)=["\']?(.*?)["\']?\s*$')


def settings(root: Root) -> Iterator[Row]:
    """Rows of areas `sysctl`, `module`, `modprobe` and `cmdline`."""
    for path in _files(root, b"sysctl.d") + [b"/etc/sysctl.conf"]:
        for line in _lines(root, path):
            key, sign, value = line.partition("=")
            if sign:
                yield _row("sysctl", path, key.strip().lstrip("-").replace("/", "."), value.strip())
    for path in _files(root, b"modules-load.d") + [b"/etc/modules"]:
        for line in _lines(root, path):
            name, _, options = line.partition(" ")
            yield _row("module", path, name, options.strip())
    for path in _files(root, b"modprobe.d"):
        for line in _lines(root, path):
            verb, _, rest = line.partition(" ")
            yield _row("modprobe", path, verb, " ".join(rest.split()))
    yield from _command_lines(root)


def _row(area: str, path: bytes, key: str, value: str) -> Row:
    return {"area": area, "file": printable(path), "key": key, "value": value}


def _files(root: Root, folder: bytes) -> List[bytes]:
    """In the order in which they are read: by name, whichever folder they are in."""
    found: Dict[bytes, bytes] = {}
    for layer in LAYERS:
        for name in root.names(layer % folder):
            if name.endswith(b".conf"):
                found.setdefault(name, layer % folder + b"/" + name)
    # /etc/sysctl.d/99-sysctl.conf is a link to the file that is read by itself.
    return [path for _, path in sorted(found.items()) if root.resolve(path) != b"/etc/sysctl.conf"]


def _lines(root: Root, path: bytes) -> Iterator[str]:
    for line in printable(root.read(path)).replace("\\\n", " ").splitlines():
        line = line.strip()
        if line and line[0] not in "#;":
            yield line


def _command_lines(root: Root) -> Iterator[Row]:
    for path in [b"/etc/default/grub"] + [b"/etc/default/grub.d/" + name for name in root.names(b"/etc/default/grub.d") if name.endswith(b".cfg")]:
        for line in _lines(root, path):
            match = GRUB.match(line)
            if match:
                yield _row("cmdline", path, match.group(1), match.group(2))
    for path in (b"/etc/kernel/cmdline", b"/proc/cmdline"):
        value = " ".join(_lines(root, path))
        if value:
            yield _row("cmdline", path, "", value)
