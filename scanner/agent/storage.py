"""What is to be mounted and what lies below it: fstab(5) with swap, crypttab(5), LVM's own record of its volume groups."""

import re
from typing import Dict, Iterator, List, Tuple

from scanner.agent.tree import Root, printable

Row = Dict[str, object]
OPENS = re.compile(r"^\s*([\w.+-]+)\s*\{")
ESCAPE = re.compile(r"\\([0-7]{3})")


def facts(root: Root) -> Iterator[Tuple[str, Row]]:
    """Kind and row of each: `file_system`, and settings of areas `crypt` and `lvm`."""
    for words in _lines(root, b"/etc/fstab"):
        if len(words) >= 3:
            source, path, kind = words[:3]
            yield "file_system", {"source": source, "path": path, "type": kind, "options": words[3] if len(words) > 3 else ""}
    for words in _lines(root, b"/etc/crypttab"):
        if len(words) >= 2:
            yield "setting", {"area": "crypt", "file": "/etc/crypttab", "key": words[0], "value": words[1]}
    for name in root.names(b"/etc/lvm/backup"):
        record = b"/etc/lvm/backup/" + name
        for key, value in _volumes(printable(root.read(record)).splitlines()):
            yield "setting", {"area": "lvm", "file": printable(record), "key": key, "value": value}


def _lines(root: Root, path: bytes) -> Iterator[List[str]]:
    for line in printable(root.read(path)).splitlines():
        words = line.split()
        if words and not words[0].startswith("#"):
            yield [ESCAPE.sub(lambda match: chr(int(match.group(1), 8)), word) for word in words]


def _volumes(lines: List[str]) -> Iterator[Tuple[str, str]]:
    """`GROUP/NAME` of each volume, and `logical` or the device of a physical one (lvm's vgcfgbackup format)."""
    stack: List[str] = []
    for line in lines:
        opened = OPENS.match(line)
        if opened:
            stack.append(opened.group(1))
            if len(stack) == 3 and stack[1] == "logical_volumes":
                yield stack[0] + "/" + stack[2], "logical"
        elif line.strip().startswith("}"):
            del stack[-1:]
        elif len(stack) == 3 and stack[1] == "physical_volumes" and line.strip().startswith("device ="):
            yield stack[0] + "/" + stack[2], line.split('"')[1] if '"' in line else ""
