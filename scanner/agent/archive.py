"""A tar writer in the pax format (pax(1), POSIX.1-2001), for names, times, attributes and holes as they really are.

Python's own tarfile cannot write holes, nor attribute values that are not text. What is written here is read by GNU tar and by
Python's tarfile alike: names are raw bytes, attributes are `SCHILY.xattr.NAME` records (`%` and `=` in a name are escaped as GNU tar
does), holes are GNU's sparse format 1.0.
"""

from typing import BinaryIO, Dict, Iterable, List, Optional, Tuple

BLOCK = 512
FILE, HARDLINK, SYMLINK, CHAR, BLOCK_DEVICE, DIRECTORY, FIFO, EXTENDED = b"0", b"1", b"2", b"3", b"4", b"5", b"6", b"x"
KINDS = {"file": FILE, "symlink": SYMLINK, "char": CHAR, "block": BLOCK_DEVICE, "directory": DIRECTORY, "fifo": FIFO}
WHITEOUT = (0, 0)
"""Device number of the character device that stands for a deletion, as in overlayfs. No real device has it."""


class Member:
    """What one header says. `path` is absolute; `size` counts the bytes of a regular file, holes included."""

    def __init__(self, path: bytes, flag: bytes, mode: int = 0, size: int = 0, mtime: int = 0) -> None:
        self.path = path
        self.flag = flag
        self.mode = mode
        self.size = size
        self.mtime = mtime
        self.uid = self.gid = 0
        self.uname = self.gname = b""
        self.link = b""
        self.device = (0, 0)
        self.xattrs: Dict[str, bytes] = {}
        self.extents: Optional[List[List[int]]] = None


def whiteout(path: bytes) -> Member:
    """The member that says: what is at `path` goes away (a folder only when it is empty by then)."""
    return Member(path, CHAR)


class Writer:
    """Writes members one after the other; after the header of a file follow its data by `data`."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out

    def add(self, member: Member) -> None:
        """The header (and the pax records before it, and the map of a sparse file after it)."""
        name = member.path.strip(b"/") or b"."
        if member.flag == DIRECTORY:
            name += b"/"
        link = member.link.lstrip(b"/") if member.flag == HARDLINK else member.link
        table = _map(member) if member.extents is not None else b""
        stored = len(table) + sum(length for _, length in member.extents) if member.extents is not None else member.size
        records = _records(member, name, link)
        if records:
            self._extended(b"".join(_record(key, value) for key, value in records))
        self._out.write(_header(member, name, link, stored, member.flag))
        self._out.write(table)

    def data(self, chunks: Iterable[bytes], size: int) -> bool:
        """Exactly `size` bytes: what is too long is cut, what is too short is filled with zeros; whether neither was needed."""
        left = size
        whole = True
        for chunk in chunks:
            whole = whole and len(chunk) <= left
            self._out.write(chunk[:left])
            left -= min(left, len(chunk))
        self._zeros(left + -size % BLOCK)
        return whole and not left

    def end(self) -> None:
        """The two empty blocks that end an archive."""
        self._out.write(bytes(2 * BLOCK))
        self._out.flush()

    def _extended(self, records: bytes) -> None:
        self._out.write(_header(Member(b"", EXTENDED, 0o644), b"././@PaxHeader", b"", len(records), EXTENDED))
        self.data([records], len(records))

    def _zeros(self, count: int) -> None:
        while count:
            step = min(count, 1 << 20)
            self._out.write(bytes(step))
            count -= step


def _records(member: Member, name: bytes, link: bytes) -> List[Tuple[bytes, bytes]]:
    found: List[Tuple[bytes, bytes]] = []
    if member.extents is not None:
        found += [(b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0"), (b"GNU.sparse.name", name)]
        found.append((b"GNU.sparse.realsize", b"%d" % member.size))
    elif len(name) > 100:
        found.append((b"path", name))
    if len(link) > 100:
        found.append((b"linkpath", link))
    if member.mtime % 10**9 or not 0 <= member.mtime // 10**9 < 8**11:
        found.append((b"mtime", _seconds(member.mtime)))
    for key, number in ((b"uid", member.uid), (b"gid", member.gid)):
        if number >= 8**7:
            found.append((key, b"%d" % number))
    for key, word in ((b"uname", member.uname), (b"gname", member.gname)):
        if len(word) > 31:
            found.append((key, word))
    for attribute, value in member.xattrs.items():
        escaped = attribute.replace("%", "%25").replace("=", "%3D").encode("utf-8", "surrogateescape")
        found.append((b"SCHILY.xattr." + escaped, value))
    return found


def _seconds(nanoseconds: int) -> bytes:
    """A decimal number of seconds: before 1970 the whole number is negative, fraction included."""
    whole, part = divmod(abs(nanoseconds), 10**9)
    return b"%s%d.%09d" % (b"-" if nanoseconds < 0 else b"", whole, part)


def _record(key: bytes, value: bytes) -> bytes:
    """`LENGTH KEY=VALUE\\n`, where the length counts itself."""
    bare = len(key) + len(value) + 3
    length = bare + len(str(bare))
    length = bare + len(str(length))
    return b"%d %s=%s\n" % (length, key, value)


def _map(member: Member) -> bytes:
    """The map of GNU's sparse format 1.0; an extent of no length at the end makes GNU tar set the size."""
    extents = list(member.extents or [])
    if not extents or sum(extents[-1]) < member.size:
        extents.append([member.size, 0])
    table = b"%d\n" % len(extents) + b"".join(b"%d\n%d\n" % (offset, length) for offset, length in extents)
    return table + bytes(-len(table) % BLOCK)


def _header(member: Member, name: bytes, link: bytes, size: int, flag: bytes) -> bytes:
    major, minor = member.device
    head = b"".join(
        (
            name[:100].ljust(100, b"\0"),
            _octal(member.mode, 8),
            _octal(member.uid if member.uid < 8**7 else 0, 8),
            _octal(member.gid if member.gid < 8**7 else 0, 8),
            _octal(size, 12),
            _octal(min(max(member.mtime // 10**9, 0), 8**11 - 1), 12),
            b" " * 8,
            flag,
            link[:100].ljust(100, b"\0"),
            b"ustar\x0000",
            member.uname[:31].ljust(32, b"\0"),
            member.gname[:31].ljust(32, b"\0"),
            _octal(major, 8),
            _octal(minor, 8),
        )
    ).ljust(BLOCK, b"\0")
    return head[:148] + b"%06o\0 " % sum(head) + head[156:]


def _octal(number: int, width: int) -> bytes:
    """A number field; too large for octal digits it is base-256, which GNU tar and Python's tarfile read."""
    if number < 8 ** (width - 1):
        return b"%0*o\0" % (width - 1, number)
    return b"\x80" + number.to_bytes(width - 1, "big")
