"""dpkg's database, read from its files (dpkg(1), deb-md5sums(5)): what is installed, which paths it owns and what they should hold."""

import re
from typing import Dict, Iterator, List, Optional, Sequence, Set, Tuple

from scanner.agent import accounts, dpkgstates
from scanner.agent.database import Database, Finding
from scanner.agent.debs import Debs, Named
from scanner.agent.found import Found
from scanner.agent.shipped import Names, Shipped, differences, first
from scanner.agent.tree import Root, printable

STATUS = b"/var/lib/dpkg/status"
INFO = b"/var/lib/dpkg/info"
DIVERSIONS = b"/var/lib/dpkg/diversions"
STATOVERRIDE = b"/var/lib/dpkg/statoverride"
EXTENDED = b"/var/lib/apt/extended_states"
GONE = frozenset({"not-installed", "config-files"})
"""States of packages whose files are no longer there."""
SUM = re.compile(rb"^([0-9a-f]{32}) [ *]*/*(.+)$", re.MULTILINE)
NOT_SHIPPED = frozenset({b"obsolete", b"remove-on-upgrade"})
"""Flags of conffiles that the installed version does not bring."""


class Conffile:
    """What dpkg knows of a configuration file: the MD5 that the package shipped, and whether it still ships it."""

    __slots__ = ("md5", "package", "shipped")

    def __init__(self, package: str, md5: str, shipped: bool) -> None:
        self.package = package
        self.md5 = md5
        self.shipped = shipped


def stanzas(raw: bytes) -> Iterator[Dict[str, bytes]]:
    """RFC 822 style paragraphs as dpkg writes them; continuation lines are kept with their line ends."""
    for block in raw.split(b"\n\n"):
        fields: Dict[str, bytes] = {}
        name = ""
        for line in block.split(b"\n"):
            if line[:1] in (b" ", b"\t"):
                if name:
                    fields[name] += b"\n" + line
            elif b":" in line and line[:1] != b"#":
                key, _, value = line.partition(b":")
                name = key.decode("ascii", "replace").lower()
                fields[name] = value.strip()
        if fields:
            yield fields


class Dpkg(Database):
    """What dpkg says; see `Database`. Of contents it knows MD5 sums; of modes and owners what dpkg-statoverride(1) was told, and what those
    packages ship whose .deb files are still there (`debs.py`)."""

    def __init__(self, root: Root) -> None:
        super().__init__(root)
        self.md5: Dict[bytes, Set[str]] = {}
        self.conffiles: Dict[bytes, Conffile] = {}
        self.without_md5: Set[str] = set()
        """Packages that ship no MD5 sums at all."""
        self._names = Names(accounts.names(root, accounts.PASSWD), accounts.names(root, accounts.GROUP))
        self._overrides = {
            root.place(path): Shipped("", int(mode, 8), user, group) for path, user, group, mode in overrides(root.read(STATOVERRIDE))
        }
        self._shipped: Dict[bytes, Shipped] = {}
        self._debs = Debs(root)
        raw = root.read(STATUS)
        if raw:
            self._read(raw)

    def digests(self, path: bytes, linked: bool) -> Sequence[str]:
        return ("md5",) if linked or self.wants_md5(path) else ()

    def wants_md5(self, path: bytes) -> bool:
        """Whether there is an MD5 to hold the file's against."""
        return path in self.md5 or path in self.conffiles

    def verdict(self, found: Found, owner: str) -> Finding:
        state, reason = dpkgstates.owned(found, self, owner)
        expected = self._sum(found.path) if reason in ("md5-differs", "conffile-md5") else {}
        override = self._overrides.get(found.path)
        shipped = override or self._known(found)
        differing = differences(found, shipped, self._names) if shipped else {}
        if differing and state == "managed":
            state, reason = "managed-changed", "statoverride-differs" if override else first(differing) + "-differs"
        return state, reason, {**expected, **differing}

    def _known(self, found: Found) -> Optional[Shipped]:
        """What the package ships there but for its contents. Of a folder of several packages none has the say: the first that came made it."""
        shipped = self._shipped.get(found.path)
        return shipped if shipped and shipped.kind == found.kind and found.path not in self.shared else None

    def _sum(self, path: bytes) -> Dict[str, str]:
        conffile = self.conffiles.get(path)
        sums = [conffile.md5] if conffile else sorted(self.md5.get(path, ()))
        return {"digest": "md5:" + sums[0]} if sums and len(sums[0]) == 32 else {}

    def _read(self, raw: bytes) -> None:
        auto = self._auto()
        names = {name for name, _ in auto}
        diversions = self._diversions()
        present = frozenset(self._root.names(INFO))
        rows = [fields for fields in stanzas(raw) if "package" in fields and _status(fields)[2] != "not-installed"]
        twice = _co_installed(rows)
        known = self._modes([fields for fields in rows if _status(fields)[2] not in GONE], present, diversions)
        for fields in rows:
            name, arch = printable(fields["package"]), printable(fields.get("architecture"))
            # apt writes the machine's architecture where the package has "all".
            self.packages.append(_package(fields, (name, arch) in auto or (arch == "all" and name in names), _named(fields) in known))
            if _status(fields)[2] not in GONE:
                label = "%s:%s" % (name, arch) if name in twice else name
                self._read_package(fields, label, _info_name(fields, present), diversions)

    def _modes(self, rows: List[Dict[str, bytes]], present: "frozenset[bytes]", diversions: "Diversions") -> Set[Named]:
        """Learn what packages ship from their .deb files; of which ones."""
        if not self._debs:
            return set()
        sums = {_named(fields): self._root.read(_info_name(fields, present) + b".md5sums") for fields in rows}
        known = set()
        for package, paths in self._debs.shipped(sums, self._names):
            known.add(package)
            for path, shipped in paths.items():
                self._shipped[self._root.place(diversions.actual(path, package[0])) if path != b"/" else path] = shipped
        return known

    def _read_package(self, fields: Dict[str, bytes], label: str, info: bytes, diversions: "Diversions") -> None:
        name = printable(fields["package"])
        for path, conffile in _conffiles(fields, label):
            self.conffiles[self._root.place(diversions.actual(path, name))] = conffile
        sums = _sums(self._root.read(info + b".md5sums"))
        if not sums:
            self.without_md5.add(label)
        for path in (self._root.read(info + b".list") or b"").split(b"\n"):
            if path.startswith(b"/"):
                self._own(label, diversions.actual(path, name), sums.get(path))

    def _own(self, label: str, listed: bytes, md5: Optional[str]) -> None:
        path = self._root.place(listed) if listed != b"/." else b"/"
        conffile = self.conffiles.get(path)
        self._claim(label, path)
        if conffile and not conffile.shipped:
            return
        if md5:
            self.md5.setdefault(path, set()).add(md5)
        self._expect(listed, path)

    def _auto(self) -> Set[Tuple[str, str]]:
        return {
            (printable(fields["package"]), printable(fields.get("architecture")))
            for fields in stanzas(self._root.read(EXTENDED) or b"")
            if "package" in fields and fields.get("auto-installed") == b"1"
        }

    def _diversions(self) -> "Diversions":
        return Diversions(self._root.read(DIVERSIONS) or b"")


def overrides(raw: Optional[bytes]) -> Iterator[Tuple[bytes, str, str, str]]:
    """Path, user, group (names, or `#` and a number) and octal mode of each line of dpkg's `statoverride`."""
    for line in (raw or b"").split(b"\n"):
        words = line.split(b" ", 3)
        if len(words) == 4 and words[2].isdigit() and not set(words[2]) & set(b"89"):
            yield words[3], printable(words[0]), printable(words[1]), printable(words[2])


class Diversions:
    """dpkg-divert(1): triples of lines: what is diverted, where to, and for which package (`:` is the administrator)."""

    def __init__(self, raw: bytes) -> None:
        lines = raw.split(b"\n")
        self.rows = [(old, new, printable(by)) for old, new, by in zip(lines[::3], lines[1::3], lines[2::3])]  # noqa: B905
        self._to = {old: (new, by) for old, new, by in self.rows}

    def actual(self, path: bytes, package: str) -> bytes:
        """Where `package`'s file `path` really is."""
        new, by = self._to.get(path, (path, ""))
        return path if by == package else new


def _status(fields: Dict[str, bytes]) -> List[str]:
    words = printable(fields.get("status")).split()
    return words if len(words) == 3 else ["unknown", "ok", "not-installed"]


def _co_installed(rows: List[Dict[str, bytes]]) -> Set[str]:
    seen: Set[str] = set()
    twice: Set[str] = set()
    for fields in rows:
        if _status(fields)[2] not in GONE:
            name = printable(fields["package"])
            (twice if name in seen else seen).add(name)
    return twice


def _info_name(fields: Dict[str, bytes], present: "frozenset[bytes]") -> bytes:
    name = fields["package"]
    full = name + b":" + fields.get("architecture", b"")
    return INFO + b"/" + (full if full + b".list" in present else name)


def _named(fields: Dict[str, bytes]) -> Named:
    return printable(fields["package"]), printable(fields.get("version")), printable(fields.get("architecture"))


def _package(fields: Dict[str, bytes], auto: bool, modes: bool) -> Dict[str, object]:
    want, flag, status = _status(fields)
    size = fields.get("installed-size", b"0")
    return {
        "manager": "dpkg",
        "name": printable(fields["package"]),
        "version": printable(fields.get("version")),
        "arch": printable(fields.get("architecture")),
        "auto": auto,
        "hold": want == "hold",
        "status": status,
        "wanted": "" if want in ("install", "hold") else want,
        "flag": "" if flag == "ok" else flag,
        "essential": fields.get("essential") == b"yes",
        "source": printable((fields.get("source") or fields["package"]).split(b" ")[0]),
        "size": int(size) * 1024 if size.isdigit() else 0,
        "section": printable(fields.get("section")),
        "modes": modes,
        "left": [printable(path) for path, conffile in _conffiles(fields, "") if status in GONE or not conffile.shipped],
    }


def _conffiles(fields: Dict[str, bytes], label: str) -> Iterator[Tuple[bytes, Conffile]]:
    """Lines of `Conffiles:`: ` PATH MD5 [FLAG]`; a path may have spaces."""
    for line in fields.get("conffiles", b"").split(b"\n"):
        words = line.strip().split(b" ")
        shipped = words[-1] not in NOT_SHIPPED
        words = words if shipped else words[:-1]
        if len(words) >= 2:
            yield b" ".join(words[:-1]), Conffile(label, printable(words[-1]), shipped)


def _sums(raw: Optional[bytes]) -> Dict[bytes, str]:
    """`MD5  relative/path` lines -> absolute path -> MD5."""
    return {b"/" + path: md5.decode("ascii") for md5, path in SUM.findall(raw or b"")}
