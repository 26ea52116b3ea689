"""How one path is read: its attributes, its flags, and a regular file's contents. What cannot be read is told as a blind spot."""

import base64
import os
import stat as st
from typing import Callable, Dict, Iterable, Optional, Sequence, Union

from scanner.agent import xattrs
from scanner.agent.content import examine
from scanner.agent.flags import Flags
from scanner.agent.found import Blind, Found, why
from scanner.agent.known import Known
from scanner.agent.tree import FILE, join, open_at

Digests = Callable[[bytes, bool], Sequence[str]]
"""Which digests besides SHA-256 a path needs; see `Database.digests`."""


class Reading:
    """Reads paths of the file systems in `devices`."""

    def __init__(self, devices: Iterable[int], digests: Digests, blind: Blind, known: Known) -> None:
        self._devices = frozenset(devices)
        self._digests = digests
        self._blind = blind
        self._known = known
        self._flags = Flags()

    def plain(self, folder: int, path: bytes, name: bytes) -> Optional[Found]:
        """The regular file `name` in the open folder at `path`, read or known; None when it is not as plain as it seemed: gone, of another
        kind, with several links, or of another file system."""
        try:
            stat = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except OSError:
            return None
        if not st.S_ISREG(stat.st_mode) or stat.st_nlink > 1 or stat.st_dev not in self._devices:
            return None
        found = Found(join(path, name), stat)
        if not self._known.recall(found, folder, name, self._digests(found.path, False)):
            self.file(folder, name, found)
            if found.content is not None:
                found.seen = self._known.seen(found.content)
        return found

    def file(self, folder: int, name: bytes, found: Found) -> None:
        """Fill in what the regular file `found` holds."""
        try:
            fd = open_at(name, FILE, folder)
        except OSError as error:
            self._blind(found.path, why(error))
            return
        stat = os.fstat(fd)
        if not st.S_ISREG(stat.st_mode):
            os.close(fd)
            self._blind(found.path, "changed while being read")
            return
        self.attributes(found, fd)
        try:
            found.content = examine(fd, stat, self._digests(found.path, stat.st_nlink > 1))
        except OSError as error:
            self._blind(found.path, why(error))
            return
        found.stat = found.content.stat
        if found.content.changing:
            self._blind(found.path, "changed while being read")

    def attributes(self, found: Found, place: Union[int, bytes]) -> None:
        """Fill in extended attributes, and the flags of what is open."""
        found.xattrs = self._xattrs(found.path, place)
        if isinstance(place, int) and found.stat is not None:
            found.flags = self._flags.of(place, found.stat.st_dev)

    def _xattrs(self, path: bytes, place: Union[int, bytes]) -> Dict[str, str]:
        try:
            values = xattrs.read(place)
        except OSError as error:
            self._blind(path, "attributes: " + why(error))
            return {}
        return {name: base64.b64encode(value).decode("ascii") for name, value in values.items()}
