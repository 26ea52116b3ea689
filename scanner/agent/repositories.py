"""Where the machine's packages come from: sources.list(5), one-line and deb822 files."""

import re
from typing import Dict, Iterator, List

from scanner.agent import rpmrepositories
from scanner.agent.dpkg import stanzas
from scanner.agent.tree import Root, printable

ONE_LINE = re.compile(r"^(deb|deb-src)\s+(?:\[([^\]]*)\]\s*)?(\S+)\s+(\S+)\s*(.*)$")


def repositories(root: Root) -> Iterator[Dict[str, object]]:
    """Every configured source, enabled or not, in the order in which apt reads its files; then those of rpm and apk."""
    yield from _apt(root)
    yield from rpmrepositories.repositories(root)


def _apt(root: Root) -> Iterator[Dict[str, object]]:
    folder = b"/etc/apt/sources.list.d"
    for path in [b"/etc/apt/sources.list"] + [folder + b"/" + name for name in root.names(folder)]:
        raw = root.read(path) or b""
        if path.endswith(b".list"):
            yield from _one_line(printable(path), printable(raw))
        elif path.endswith(b".sources"):
            yield from _deb822(printable(path), raw)


def _one_line(file: str, text: str) -> Iterator[Dict[str, object]]:
    for line in text.splitlines():
        match = ONE_LINE.match(line.partition("#")[0].strip())
        if match:
            kind, options, uri, suite, components = match.groups()
            pairs = [word.partition("=") for word in (options or "").split()]
            yield {
                "manager": "apt",
                "file": file,
                "types": [kind],
                "uris": [uri],
                "suites": [suite],
                "components": components.split(),
                "options": {key.lower(): value for key, _, value in pairs},
                "enabled": True,
            }


def _deb822(file: str, raw: bytes) -> Iterator[Dict[str, object]]:
    lines = [line for line in raw.split(b"\n") if not line.startswith(b"#")]
    for fields in stanzas(re.sub(rb"\n\s*\n", b"\n\n", b"\n".join(lines))):
        words = {key: printable(value) for key, value in fields.items()}
        if "types" in words:
            yield {
                "manager": "apt",
                "file": file,
                "types": _take(words, "types"),
                "uris": _take(words, "uris"),
                "suites": _take(words, "suites"),
                "components": _take(words, "components"),
                "enabled": words.pop("enabled", "yes").lower() not in ("no", "false", "0", "off"),
                "options": words,
            }


def _take(fields: Dict[str, str], key: str) -> List[str]:
    return fields.pop(key, "").split()
