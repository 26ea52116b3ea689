"""One path of the walk, as met."""

import os
import stat as st
from typing import Callable, Dict, Optional

from scanner.agent.content import Content

KINDS = {
    st.S_IFREG: "file",
    st.S_IFDIR: "directory",
    st.S_IFLNK: "symlink",
    st.S_IFIFO: "fifo",
    st.S_IFSOCK: "socket",
    st.S_IFCHR: "char",
    st.S_IFBLK: "block",
}

Blind = Callable[[bytes, str], None]


class Found:
    """`stat` is None for a path that is expected and not there."""

    __slots__ = ("content", "excluded", "flags", "hardlink", "kind", "path", "seen", "stat", "target", "xattrs")

    def __init__(self, path: bytes, stat: Optional[os.stat_result]) -> None:
        self.path = path
        self.stat = stat
        self.kind = KINDS[st.S_IFMT(stat.st_mode)] if stat else ""
        self.excluded: Optional[str] = None
        self.content: Optional[Content] = None
        self.target: Optional[bytes] = None
        self.hardlink: Optional[Found] = None
        self.xattrs: Dict[str, str] = {}
        self.flags = ""
        self.seen = b""


def why(error: OSError) -> str:
    """The reason of a blind spot."""
    if isinstance(error, FileNotFoundError):
        return "vanished"
    return "unreadable: %s" % (error.strerror or error)
