"""Units and whether they start by themselves: what `systemctl is-enabled` says, found from files and links alone (systemd.unit(5))."""

import stat as st
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional

from scanner.agent.tree import Root, printable

CONFIG = b"/etc/systemd/system"
FOLDERS = (CONFIG, b"/usr/local/lib/systemd/system", b"/usr/lib/systemd/system", b"/lib/systemd/system")
"""In the order in which systemd prefers them. /run is not looked at: it does not outlive a boot."""
SUFFIXES = (b".service", b".socket", b".timer", b".path", b".mount", b".automount")
RUNLEVELS = (b"2", b"3", b"4", b"5")

Owner = Callable[[bytes], Optional[str]]


class Link(NamedTuple):
    """A symlink that pulls a unit in, or gives it another name."""

    name: bytes
    points_to: bytes
    """The last name of its target."""
    wanted_by: bytes
    """`multi-user.target` for a link in multi-user.target.wants; empty for an alias."""
    configured: bool
    """In /etc, so made by enabling; the others are the vendor's."""


def services(root: Root, owner: Owner) -> Iterator[Dict[str, object]]:
    """One row a unit, by name: unit files, enabled instances of templates, and init scripts that have no unit."""
    found = _unit_files(root)
    links = _links(root)
    rows = {name: _unit(root, name, path, links, owner) for name, path in found.items()}
    for link in links:
        if link.wanted_by and link.configured and link.name not in rows and link.points_to in found:
            rows[link.name] = _row(root, link.name, "enabled", found[link.points_to], links, owner)
    for name, path in _scripts(root):
        if name not in rows:
            rows[name] = _script(root, name, path, owner)
    return (rows[name] for name in sorted(rows))


def _folders(root: Root) -> List[bytes]:
    """Each folder once: with a merged /usr two of the names are one folder."""
    seen: List[bytes] = []
    for folder in FOLDERS:
        real = root.resolve(folder)
        if real not in seen:
            seen.append(real)
    return seen


def _unit_files(root: Root) -> Dict[bytes, bytes]:
    found: Dict[bytes, bytes] = {}
    for folder in _folders(root):
        for name in root.names(folder):
            if name.endswith(SUFFIXES):
                found.setdefault(name, folder + b"/" + name)
    return found


def _links(root: Root) -> List[Link]:
    found: List[Link] = []
    for folder in _folders(root):
        configured = folder == root.resolve(CONFIG)
        for name in root.names(folder):
            path = folder + b"/" + name
            if name.endswith((b".wants", b".requires")):
                found.extend(_pulls(root, path, configured))
            elif configured and name.endswith(SUFFIXES):
                found.extend(_link(root, path, b"", configured))
    return found


def _pulls(root: Root, folder: bytes, configured: bool) -> Iterator[Link]:
    target = folder.rpartition(b"/")[2].rpartition(b".")[0]
    for name in root.names(folder):
        yield from _link(root, folder + b"/" + name, target, configured)


def _link(root: Root, path: bytes, wanted_by: bytes, configured: bool) -> Iterator[Link]:
    target = root.readlink(path)
    if target is not None:
        yield Link(path.rpartition(b"/")[2], target.rpartition(b"/")[2], wanted_by, configured)


def _unit(root: Root, name: bytes, path: bytes, links: List[Link], owner: Owner) -> Dict[str, object]:
    return _row(root, name, _state(root, name, path, links), path, links, owner)


def _state(root: Root, name: bytes, path: bytes, links: List[Link]) -> str:
    target = root.readlink(path)
    content = root.read(path)
    if root.resolve(path) == b"/dev/null" or content == b"":
        return "masked"
    if target is not None:
        return "alias" if target.rpartition(b"/")[2] != name else "linked"
    if any(link.configured and link.name != link.points_to and link.points_to == name for link in links):
        return "enabled"
    if any(link.configured and link.wanted_by and name in (link.name, link.points_to) for link in links):
        return "enabled"
    install = _section(content, "Install")
    if any(key in install for key in ("WantedBy", "RequiredBy", "Alias")):
        return "disabled"
    return "indirect" if "Also" in install or "DefaultInstance" in install else "static"


def _row(root: Root, name: bytes, state: str, path: bytes, links: List[Link], owner: Owner) -> Dict[str, object]:
    pulled = {printable(link.wanted_by) for link in links if link.wanted_by and name in (link.name, link.points_to)}
    commands = [line for line in _section(root.read(path), "Service").get("ExecStart", []) if line]
    return {
        "name": printable(name),
        "state": state,
        "path": printable(path),
        "package": owner(path),
        "wanted_by": sorted(pulled),
        "exec": commands[0] if commands else "",
        "dropins": [printable(dropin) for dropin in _dropins(root, name)],
        "schedule": _schedule(root, path) if name.endswith(b".timer") else [],
    }


def _dropins(root: Root, name: bytes) -> List[bytes]:
    """`NAME.d`, a template's for its instances, `TYPE.d` for all of a kind; a file hides one of its name in a later folder."""
    stem, _, suffix = name.rpartition(b".")
    template = stem.partition(b"@")[0] + b"@." + suffix if b"@" in stem else name
    found: Dict[bytes, bytes] = {}
    for unit in dict.fromkeys((name, template, suffix)):
        for folder in _folders(root):
            for dropin in root.names(folder + b"/" + unit + b".d"):
                if dropin.endswith(b".conf"):
                    found.setdefault(dropin, folder + b"/" + unit + b".d/" + dropin)
    return [path for _, path in sorted(found.items())]


def _schedule(root: Root, path: bytes) -> List[str]:
    section = _section(root.read(path), "Timer")
    return ["%s=%s" % (key, value) for key, values in section.items() if key.startswith("On") for value in values]


def _section(raw: Optional[bytes], wanted: str) -> Dict[str, List[str]]:
    """Key -> values, in order, of one section (systemd.syntax(7))."""
    found: Dict[str, List[str]] = {}
    section = ""
    for line in printable(raw).replace("\\\n", " ").splitlines():
        line = line.strip()
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1]
        elif section == wanted and "=" in line and line[0] not in "#;":
            key, _, value = line.partition("=")
            found.setdefault(key.strip(), []).append(value.strip())
    return found


def _scripts(root: Root) -> Iterator["tuple[bytes, bytes]"]:
    """Init scripts, under the unit names that systemd would generate for them (systemd-sysv-generator(8))."""
    for name in root.names(b"/etc/init.d"):
        path = b"/etc/init.d/" + name
        try:
            mode = root.lstat(path).st_mode
        except OSError:
            continue
        if st.S_ISREG(mode) and mode & 0o111:
            yield (name[:-3] if name.endswith(b".sh") else name) + b".service", path


def _script(root: Root, name: bytes, path: bytes, owner: Owner) -> Dict[str, object]:
    script = path.rpartition(b"/")[2]
    levels = [level for level in RUNLEVELS if _starts(root, level, script)]
    return {
        "name": printable(name),
        "state": "enabled" if levels else "disabled",
        "path": printable(path),
        "package": owner(path),
        "wanted_by": ["runlevel%s.target" % printable(level) for level in levels],
        "exec": printable(path) + " start",
    }


def _starts(root: Root, level: bytes, script: bytes) -> bool:
    return any(name[:1] == b"S" and name[3:] == script for name in root.names(b"/etc/rc" + level + b".d"))
