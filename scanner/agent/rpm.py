"""rpm's database: what is installed, which paths it owns, and everything that `rpm --verify` would hold against them (rpm(8))."""

import stat as st
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Set, Tuple

from scanner.agent import accounts, rpmheader, rpmmarks, rpmstore
from scanner.agent.database import Database, Finding
from scanner.agent.found import KINDS, Found
from scanner.agent.rpmheader import Header
from scanner.agent.shipped import Names, Shipped, judge
from scanner.agent.tree import Root, printable

ALGORITHMS = {0: "md5", 1: "md5", 2: "sha1", 8: "sha256", 9: "sha384", 10: "sha512", 11: "sha224"}
"""OpenPGP's numbers (RFC 4880, 9.4); rpm leaves the tag out for MD5."""
VERIFY_SIZE, VERIFY_LINK, VERIFY_USER, VERIFY_GROUP = 1 << 1, 1 << 2, 1 << 3, 1 << 4
VERIFY_MTIME, VERIFY_MODE, VERIFY_DEVICE, VERIFY_CAPS = 1 << 5, 1 << 6, 1 << 7, 1 << 8
CONFIG, MISSING_OK, GHOST = 1 << 0, 1 << 3, 1 << 6
REPLACED, NOT_INSTALLED, NET_SHARED, WRONG_COLOR = 1, 2, 3, 4


class Rpm(Database):
    """What rpm says; see `Database`."""

    def __init__(self, root: Root) -> None:
        super().__init__(root)
        self._shipped: Dict[bytes, Shipped] = {}
        self._weak: Set[bytes] = set()
        self._algorithms: Set[str] = set()
        self._names = Names(accounts.names(root, accounts.PASSWD), accounts.names(root, accounts.GROUP))
        path, blobs = rpmstore.headers(root)
        try:
            headers = list(self._headers(path, blobs))
        except rpmstore.Unreadable as error:
            self.blind_spots.append((path, str(error)))
            return
        self._read(headers)

    def digests(self, path: bytes, linked: bool) -> Sequence[str]:
        if linked:
            return sorted(self._algorithms)
        shipped = self._shipped.get(path)
        return (shipped.digest[0],) if shipped and shipped.digest and shipped.digest[0] != "sha256" else ()

    def verdict(self, found: Found, owner: str) -> Finding:
        return judge(found, self._shipped[found.path], self._names)

    def missing_kind(self, path: bytes) -> str:
        shipped = self._shipped.get(path)
        return (shipped.kind if shipped else "") or super().missing_kind(path)

    def _headers(self, path: bytes, blobs: Iterator[bytes]) -> Iterator[Header]:
        for blob in blobs:
            try:
                yield Header(blob)
            except ValueError as error:
                self.blind_spots.append((path, "a package is not known: %s" % error))

    def _read(self, headers: List[Header]) -> None:
        labels = _labels(headers)
        marks = rpmmarks.Marks(self._root)
        for header, label in zip(headers, labels):  # noqa: B905
            self.packages.append(_package(header, marks))
            if header.string(rpmheader.NAME) == b"gpg-pubkey":
                self.keys.append(("gpg-pubkey-" + printable(b"-".join(_evr(header)[1:])), header.string(rpmheader.DESCRIPTION)))
            for path, row in _files(header):
                self._own(label, path, row)

    def _own(self, label: str, listed: bytes, row: "Row") -> None:
        """Of two packages that brought the path, one whose file was replaced (or is of the lesser architecture) has no say."""
        if row.state in (NOT_INSTALLED, NET_SHARED):
            return
        path = self._root.place(listed)
        self._claim(label, path)
        weak = row.state in (REPLACED, WRONG_COLOR)
        if path not in self._shipped or (path in self._weak and not weak):
            shipped = Shipped("") if row.state == REPLACED else row.shipped
            self._shipped[path], self.owner[path] = shipped, label
            (self._weak.add if weak else self._weak.discard)(path)
            if shipped.digest and shipped.digest[0] != "sha256":
                self._algorithms.add(shipped.digest[0])
        if not row.may_be_missing:
            self._expect(listed, path)


class Row(NamedTuple):
    """One file of a package."""

    shipped: Shipped
    state: int
    may_be_missing: bool


class _Columns:
    """The arrays of a header that describe its files, one item each."""

    def __init__(self, header: Header) -> None:
        self.header = header
        algorithm = header.numbers(rpmheader.FILEDIGESTALGO) or [0]
        self.algorithm = ALGORITHMS.get(algorithm[0])
        self.modes = header.numbers(rpmheader.FILEMODES)
        self.sizes = header.numbers(rpmheader.LONGFILESIZES) or header.numbers(rpmheader.FILESIZES)
        self.times = header.numbers(rpmheader.FILEMTIMES)
        self.devices = header.numbers(rpmheader.FILERDEVS)
        self.digests = header.strings(rpmheader.FILEDIGESTS)
        self.links = header.strings(rpmheader.FILELINKTOS)
        self.users = header.strings(rpmheader.FILEUSERNAME)
        self.groups = header.strings(rpmheader.FILEGROUPNAME)
        self.flags = header.numbers(rpmheader.FILEFLAGS)
        self.verify = header.numbers(rpmheader.FILEVERIFYFLAGS)
        count = len(self.modes)
        self.states = header.numbers(rpmheader.FILESTATES) or [0] * count
        self.caps = header.strings(rpmheader.FILECAPS) or [b""] * count


def _files(header: Header) -> Iterator[Tuple[bytes, Row]]:
    """Each listed path, as the package names it. Arrays of unlike length raise no error: what has no whole row is left out."""
    folders = header.strings(rpmheader.DIRNAMES)
    indexes, names = header.numbers(rpmheader.DIRINDEXES), header.strings(rpmheader.BASENAMES)
    columns = _Columns(header)
    for number, (index, name) in enumerate(zip(indexes, names)):  # noqa: B905
        if index < len(folders):
            try:
                yield folders[index] + name, _row(columns, number)
            except IndexError:
                return


def _row(columns: _Columns, number: int) -> Row:
    mode, verify, flags = columns.modes[number], columns.verify[number], columns.flags[number]
    shipped = Shipped(KINDS.get(st.S_IFMT(mode), ""))
    shipped.config, shipped.ghost = bool(flags & CONFIG), bool(flags & GHOST)
    if verify & VERIFY_MODE:
        shipped.mode = st.S_IMODE(mode)
    if verify & VERIFY_USER:
        shipped.user = printable(columns.users[number])
    if verify & VERIFY_GROUP:
        shipped.group = printable(columns.groups[number])
    _contents(shipped, columns, number, verify)
    return Row(shipped, columns.states[number], bool(flags & (MISSING_OK | GHOST)))


def _contents(shipped: Shipped, columns: _Columns, number: int, verify: int) -> None:
    """The digest counts even where rpm is told not to verify it: a build must bring contents that the package does not."""
    digest = columns.digests[number]
    if shipped.kind == "file":
        if digest and columns.algorithm:
            shipped.digest = columns.algorithm, printable(digest)
        if verify & VERIFY_SIZE:
            shipped.size = columns.sizes[number]
        if verify & VERIFY_MTIME:
            shipped.mtime = columns.times[number]
        if verify & VERIFY_CAPS:
            shipped.caps = printable(columns.caps[number])
    elif shipped.kind == "symlink" and verify & VERIFY_LINK:
        shipped.target = columns.links[number]
    elif shipped.kind in ("char", "block") and verify & VERIFY_DEVICE:
        shipped.device = columns.devices[number]


def _evr(header: Header) -> Tuple[Optional[int], bytes, bytes]:
    epoch = header.numbers(rpmheader.EPOCH)
    return (epoch[0] if epoch else None), header.string(rpmheader.VERSION), header.string(rpmheader.RELEASE)


def version(header: Header) -> str:
    """`[epoch:]version-release`."""
    epoch, upstream, release = _evr(header)
    return ("" if epoch is None else "%d:" % epoch) + printable(upstream + b"-" + release)


def _labels(headers: List[Header]) -> List[str]:
    """What each package is called as an owner: its name alone where that is enough."""
    plain = [printable(header.string(rpmheader.NAME)) for header in headers]
    arches = ["%s:%s" % (name, printable(header.string(rpmheader.ARCH))) for name, header in zip(plain, headers)]  # noqa: B905
    full = ["%s-%s" % (name, version(header)) for name, header in zip(plain, headers)]  # noqa: B905
    names, pairs = _repeated(plain), _repeated(arches)
    return [
        name if name not in names else arch if arch not in pairs else long
        for name, arch, long in zip(plain, arches, full)  # noqa: B905
    ]


def _repeated(items: List[str]) -> Set[str]:
    seen: Set[str] = set()
    return {item for item in items if item in seen or seen.add(item)}  # type: ignore[func-returns-value]


def _package(header: Header, marks: rpmmarks.Marks) -> Dict[str, object]:
    name, arch = printable(header.string(rpmheader.NAME)), printable(header.string(rpmheader.ARCH))
    epoch, upstream, release = _evr(header)
    sizes = header.numbers(rpmheader.LONGSIZE) or header.numbers(rpmheader.SIZE) or [0]
    source = printable(header.string(rpmheader.SOURCERPM))
    return {
        "manager": "rpm",
        "name": name,
        "version": version(header),
        "arch": arch,
        "auto": marks.auto(name, arch),
        "hold": marks.held(name, epoch or 0, "%s-%s" % (printable(upstream), printable(release)), arch),
        "source": source.rsplit("-", 2)[0],
        "size": sizes[0],
        "section": printable(header.string(rpmheader.GROUP)),
        "module": printable(header.string(rpmheader.MODULARITYLABEL)),
        "modes": True,
    }
