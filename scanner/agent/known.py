"""What an earlier scan of this machine read of its plain files: those that stayed as they were need not be read again.

A file stayed as it was when device, inode, size, mtime and ctime did, and its path: no write and no change of attributes leaves the
ctime alone, and no program can set it (inode(7)). A folder above may be renamed meanwhile, so the path counts as well. What was changed
less than `SETTLED` before a scan began may be changed once more without a newer ctime, so it is read again next time.

It comes plain or as gzip: the lines of that scan's file table as they were on the wire, those with `seen`: `DEVICE:INODE:SIZE:MTIME:CTIME`, and the
digests besides SHA-256 that were taken.
"""

import json
import os
import re
import stat as st
import time
import zlib
from json.encoder import encode_basestring_ascii as quoted
from typing import Any, Dict, Optional, Sequence

from scanner.agent import languages, secrets
from scanner.agent.content import HEAD, Content, Verdict
from scanner.agent.found import Found
from scanner.agent.tree import FILE, open_at, text

SETTLED = 2.0
"""Seconds: the coarsest ctime of a file system (FAT's) is told in steps of so much."""
MOST = 400_000
"""Files that are remembered; the memory of the machine that is scanned pays for them, some 400 bytes each."""
CHUNK = 1 << 20
OWN = ("unmanaged", "conffile-changed", "managed-changed")
"""States of files whose contents are this machine's alone: what everybody's packages ship is no secret."""
EXPECTED = b',"expected":'
DIGEST = b',"sha256":"'
GZIP = b"\x1f\x8b"
"""What it begins with (RFC 1952); a line begins with a brace."""
PACKAGE = b',"package":"'
STATE = re.compile(rb'"state":"([a-z-]+)",')
FIELD = b'":'
"""What ends a field's name. No string holds it: quotes inside of one are escaped."""
LINES = re.compile(rb'^\{"kind":"file","seen":"([0-9:-]+)(.*\})$', re.MULTILINE)
"""A stamp, and what stands behind it."""


class Recalled(Content):
    """A content that was not read now, told in `row` of an earlier scan, its state at `start`; its first bytes are read if somebody asks."""

    __slots__ = ("_folder", "_name", "_row", "_secret", "_start", "_tail")

    def __init__(self, found: Found, row: bytes, start: int, others: Dict[str, str], folder: int, name: bytes) -> None:
        """Raises ValueError for a row that is none."""
        assert found.stat is not None
        at = row.index(DIGEST, start) + len(DIGEST)
        super().__init__((row[at : at + 64].decode("ascii"), others, b""), found.stat, False)
        self._row = row
        self._start = start
        self._tail = row[at + 65 : -1]
        self._folder = folder
        self._name = name
        self._secret: Optional[str] = ""
        if self._tail.count(FIELD) > self._tail.startswith(PACKAGE):
            told = json.loads(row.decode("ascii"))
            found.xattrs, found.flags, self.extents = told.get("xattrs", {}), told.get("flags", ""), told.get("extents")
            self._secret = told.get("secret", "")

    def told(self, verdict: Verdict) -> Optional[bytes]:
        """The row of then, where that verdict was the same; else the secret has to be looked for anew."""
        state, reason, package, expected = verdict
        owner = b"" if package is None else (',"package":' + quoted(package)).encode("ascii")
        same = self._tail.startswith(owner) and self._tail.startswith(PACKAGE) == bool(owner) and not expected and EXPECTED not in self._tail
        if same and self._row.startswith(('"state":"%s","reason":"%s",' % (state, reason)).encode("ascii"), self._start):
            return self._row
        then = STATE.match(self._row, self._start)
        if not then or then.group(1).decode("ascii") not in OWN:
            # Of what packages ship nobody looked for secrets.
            self._secret = None
        return None

    def secret(self, path: bytes) -> Optional[str]:
        if self._secret is None:
            self._secret = secrets.kind_of(path, self._head()) or ""
        return self._secret or None

    def _head(self) -> bytes:
        try:
            fd = open_at(self._name, FILE, self._folder)
        except OSError:
            return b""
        try:
            return os.read(fd, HEAD) if st.S_ISREG(os.fstat(fd).st_mode) else b""
        except OSError:
            return b""
        finally:
            os.close(fd)


class Known:
    """Nothing at first; `read` fills it."""

    def __init__(self) -> None:
        self._lines: Dict[bytes, bytes] = {}
        self._before = int((time.time() - SETTLED) * 1e9)

    def read(self, source: Any) -> None:
        """From a file object. What is damaged is as good as not there."""
        lines: Dict[bytes, bytes] = {}
        unpack: Any = None
        rest = b""
        while len(lines) < MOST:
            packed = source.read(CHUNK)
            if not packed:
                break
            if not lines and packed.startswith(GZIP):
                unpack = unpack or zlib.decompressobj(31)
            try:
                whole, end, rest = (rest + (unpack.decompress(packed) if unpack else packed)).rpartition(b"\n")
            except zlib.error:
                return
            lines.update(LINES.findall(whole + end))
        self._lines = lines

    def recall(self, found: Found, folder: int, name: bytes, digests: Sequence[str]) -> bool:
        """Fill in what is known of the regular file `found`, which is `name` in the open folder; False when it has to be read."""
        if not self._lines or found.stat is None:
            return False
        stamp = _stamp(found.stat)
        line = self._lines.get(stamp)
        if line is None or languages.marked(found.path):
            return False
        others, _, row = line.partition(b'",')
        row = b"{" + row
        try:
            taken = dict(one.split("=") for one in others.decode("ascii").split()) if others else {}
            head = ('{"path":%s,"type":"file",' % quoted(text(found.path))).encode("ascii")
            if not row.startswith(head) or not all(one in taken for one in digests):
                return False
            found.content = Recalled(found, row, len(head), taken, folder, name)
        except ValueError:
            return False
        found.seen = stamp + others
        return True

    def seen(self, content: Content) -> bytes:
        """What tells the next scan that the file stayed as it was; nothing when that could not be told."""
        if content.changing or content.stat.st_ctime_ns >= self._before:
            return b""
        return b" ".join([_stamp(content.stat), *(("%s=%s" % one).encode("ascii") for one in sorted(content.others.items()))])


def _stamp(stat: os.stat_result) -> bytes:
    return b"%d:%d:%d:%d:%d" % (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
