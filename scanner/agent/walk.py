"""The walk of a tree: depth first, parents before children, siblings by the bytes of their names; `/` comes first.

Nothing outside the root is ever read: folders are opened relative to one another and symlinks are never followed. What cannot be
read, vanishes, or changes while it is read, is told as a blind spot. Paths that are expected (some package lists them) but are not
there are given in their place.
"""

import base64
import collections
import os
import stat as st
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Callable, Deque, Dict, Iterator, List, Optional, Sequence, Tuple, Union

from scanner.agent import mounts, xattrs
from scanner.agent.content import Content, examine
from scanner.agent.flags import Flags
from scanner.agent.rules import Rules
from scanner.agent.tree import FILE, FOLDER, Root, join, open_at

KINDS = {
    st.S_IFREG: "file",
    st.S_IFDIR: "directory",
    st.S_IFLNK: "symlink",
    st.S_IFIFO: "fifo",
    st.S_IFSOCK: "socket",
    st.S_IFCHR: "char",
    st.S_IFBLK: "block",
}
SMALL = 64 << 10
"""Files up to this size are read on the spot: handing them to a thread costs more than reading them."""
AHEAD = 64
"""How far the walk may run ahead of the reading, in paths."""

Blind = Callable[[bytes, str], None]


class Found:
    """One path, as met. `stat` is None when it is expected and not there."""

    __slots__ = ("content", "excluded", "flags", "hardlink", "kind", "path", "pending", "stat", "target", "xattrs")

    def __init__(self, path: bytes, stat: Optional[os.stat_result]) -> None:
        self.path = path
        self.stat = stat
        self.kind = KINDS[st.S_IFMT(stat.st_mode)] if stat else ""
        self.excluded: Optional[str] = None
        self.content: Optional[Content] = None
        self.pending: Optional[Future[Content]] = None
        self.target: Optional[bytes] = None
        self.hardlink: Optional[Found] = None
        self.xattrs: Dict[str, str] = {}
        self.flags = ""


class _Folder:
    """An open folder of the walk; `fd` is None for one that is not there."""

    __slots__ = ("fd", "names", "path")

    def __init__(self, path: bytes, fd: Optional[int], names: List[bytes]) -> None:
        self.path = path
        self.fd = fd
        self.names = iter(names)


class Walk:
    """Iterate over it once. `expected` names what must be in a folder; `digests` says which besides SHA-256 a file needs (see `Database`).

    `cross` names the mount points that are walked; no other one is.
    """

    def __init__(
        self,
        root: Root,
        rules: Rules,
        blind: Blind,
        expected: Callable[[bytes], List[bytes]],
        digests: Callable[[bytes, bool], Sequence[str]],
        cross: Sequence[bytes] = (),
    ) -> None:
        self._root = root
        self._rules = rules
        self._blind = blind
        self._expected = expected
        self._digests = digests
        self._flags = Flags()
        crossed = [root.resolve(path) for path in cross]
        self._mounts = frozenset(mounts.mounts(root.path)).difference(crossed)
        self._device = os.fstat(root.fd).st_dev
        self._crossed = frozenset(_devices(root, crossed))
        self._mount = mounts.mount_id(root.fd)
        self._links: Dict[Tuple[int, int], Found] = {}

    def __iter__(self) -> Iterator[Found]:
        """Every path in walk order, read; see `Found`."""
        queue: Deque[Found] = collections.deque()
        with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
            for found in self._paths(pool):
                queue.append(found)
                while queue and (len(queue) > AHEAD or _ready(queue[0])):
                    yield self._finished(queue.popleft())
            while queue:
                yield self._finished(queue.popleft())

    def _finished(self, found: Found) -> Found:
        if found.pending is not None:
            self._read(found, found.pending.result)
            found.pending = None
        if found.hardlink is not None and found.hardlink.content is not None:
            found.content = found.hardlink.content
            found.stat = found.content.stat
        return found

    def _paths(self, pool: ThreadPoolExecutor) -> Iterator[Found]:
        top = Found(b"/", os.fstat(self._root.fd))
        top.xattrs = self._xattrs(top.path, self._root.fd)
        top.flags = self._flags.of(self._root.fd, self._device)
        yield top
        stack = [_Folder(b"/", os.dup(self._root.fd), [])]
        stack[0].names = iter(self._names(stack[0]))
        while stack:
            folder = stack[-1]
            name = next(folder.names, None)
            if name is None:
                _close(stack.pop())
                continue
            found = self._look(folder, name, pool)
            if found is not None:
                below = [] if found.excluded else self._below(folder, name, found)
                yield found
                stack.extend(below)

    def _below(self, folder: _Folder, name: bytes, found: Found) -> List[_Folder]:
        """The folder to walk next, if `found` is one, or was meant to be one."""
        below = _Folder(found.path, None, self._expected(found.path))
        if found.kind == "directory" and folder.fd is not None:
            try:
                below.fd = open_at(name, FOLDER, folder.fd)
                if not _same(os.fstat(below.fd), found.stat):
                    raise OSError(0, "changed while being read")
                found.xattrs = self._xattrs(found.path, below.fd)
                assert found.stat is not None
                found.flags = self._flags.of(below.fd, found.stat.st_dev)
                below.names = iter(self._names(below))
            except OSError as error:
                _close(below)
                self._blind(found.path, _why(error))
                return []
        return [below]

    def _names(self, folder: _Folder) -> List[bytes]:
        assert folder.fd is not None
        return sorted({os.fsencode(name) for name in os.listdir(folder.fd)}.union(self._expected(folder.path)))

    def _look(self, folder: _Folder, name: bytes, pool: ThreadPoolExecutor) -> Optional[Found]:
        path = join(folder.path, name)
        stat: Optional[os.stat_result] = None
        if folder.fd is not None:
            try:
                stat = os.stat(name, dir_fd=folder.fd, follow_symlinks=False)
            except FileNotFoundError:
                if name not in self._expected(folder.path):
                    self._blind(path, "vanished")
                    return None
            except OSError as error:
                self._blind(path, _why(error))
                return None
        found = Found(path, stat)
        found.excluded = self._rules.why(path)
        if stat is None:
            return found if found.excluded is None else None
        if found.excluded is None and self._mounted(folder, name, found, stat):
            found.excluded = "mount"
        if found.excluded is None:
            self._fill(folder, name, found, stat, pool)
        return found

    def _mounted(self, folder: _Folder, name: bytes, found: Found, stat: os.stat_result) -> bool:
        if found.path in self._mounts:
            return True
        if stat.st_dev == self._device or stat.st_dev in self._crossed:
            return False
        # Another number need not be another mount (overlayfs over several file systems, btrfs subvolumes): ask for the mount itself.
        try:
            fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder.fd)
        except OSError:
            return True
        try:
            mount = mounts.mount_id(fd)
        finally:
            os.close(fd)
        return mount is None or mount != self._mount

    def _fill(self, folder: _Folder, name: bytes, found: Found, stat: os.stat_result, pool: ThreadPoolExecutor) -> None:
        if found.kind == "directory":
            return
        if stat.st_nlink > 1:
            key = (stat.st_dev, stat.st_ino)
            found.hardlink = self._links.setdefault(key, found)
        assert folder.fd is not None
        if found.hardlink not in (None, found):
            first = found.hardlink
            assert first is not None
            found.xattrs, found.target, found.flags = first.xattrs, first.target, first.flags
        elif found.kind == "file":
            self._open(folder.fd, name, found, pool)
        else:
            self._special(folder.fd, name, found)

    def _special(self, folder: int, name: bytes, found: Found) -> None:
        if found.kind == "symlink":
            try:
                found.target = os.readlink(name, dir_fd=folder)
            except OSError as error:
                self._blind(found.path, _why(error))
        found.xattrs = self._xattrs(found.path, xattrs.beside(folder, name))

    def _open(self, folder: int, name: bytes, found: Found, pool: ThreadPoolExecutor) -> None:
        try:
            fd = open_at(name, FILE, folder)
        except OSError as error:
            self._blind(found.path, _why(error))
            return
        stat = os.fstat(fd)
        if not st.S_ISREG(stat.st_mode):
            os.close(fd)
            self._blind(found.path, "changed while being read")
            return
        found.xattrs = self._xattrs(found.path, fd)
        found.flags = self._flags.of(fd, stat.st_dev)
        others = self._digests(found.path, stat.st_nlink > 1)
        if stat.st_size > SMALL:
            found.pending = pool.submit(examine, fd, others)
        else:
            self._read(found, lambda: examine(fd, others))

    def _read(self, found: Found, content: Callable[[], Content]) -> None:
        try:
            found.content = content()
        except OSError as error:
            self._blind(found.path, _why(error))
            return
        found.stat = found.content.stat
        if found.content.changing:
            self._blind(found.path, "changed while being read")

    def _xattrs(self, path: bytes, place: Union[int, bytes]) -> Dict[str, str]:
        try:
            values = xattrs.read(place)
        except OSError as error:
            self._blind(path, "attributes: " + _why(error))
            return {}
        return {name: base64.b64encode(value).decode("ascii") for name, value in values.items()}


def _devices(root: Root, cross: Sequence[bytes]) -> Iterator[int]:
    for path in cross:
        try:
            yield root.lstat(path).st_dev
        except OSError:
            continue


def _same(one: os.stat_result, other: Optional[os.stat_result]) -> bool:
    return other is not None and (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)


def _ready(found: Found) -> bool:
    return found.pending is None or found.pending.done()


def _close(folder: _Folder) -> None:
    if folder.fd is not None:
        os.close(folder.fd)


def _why(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "vanished"
    return "unreadable: %s" % (error.strerror or error)
