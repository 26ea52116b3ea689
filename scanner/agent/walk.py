"""The walk of a tree: depth first, parents before children, siblings by the bytes of their names; `/` comes first.

Nothing outside the root is ever read: folders are opened relative to one another and symlinks are never followed. What cannot be
read, vanishes, or changes while it is read, is told as a blind spot. Paths that are expected (some package lists them) but are not
there are given in their place. Plain files are read by other processes (`readers.py`), ahead of what is told.
"""

import collections
import os
import stat as st
from typing import Deque, Dict, FrozenSet, Iterator, List, Optional, Sequence, Tuple, Union

from scanner.agent import mounts, rows, xattrs
from scanner.agent.database import Database
from scanner.agent.found import Blind, Found, why
from scanner.agent.known import Known
from scanner.agent.readers import SLICE, Answer, Batch, Read, Readers
from scanner.agent.reading import Reading
from scanner.agent.rows import Told
from scanner.agent.rules import Rules
from scanner.agent.tree import FOLDER, Root, join, open_at

AHEAD = 1024
"""How far the walk may run ahead of what is told, in paths."""


class _Plain:
    """A file that seems plain, and is being read."""

    __slots__ = ("batch", "folder", "index", "name")

    def __init__(self, batch: Batch, index: int, folder: bytes, name: bytes) -> None:
        self.batch = batch
        self.index = index
        self.folder = folder
        self.name = name


class _Folder:
    """An open folder of the walk; `fd` is None for one that is not there."""

    __slots__ = ("expected", "fd", "items", "path")

    def __init__(self, path: bytes, fd: Optional[int], expected: List[bytes]) -> None:
        self.path = path
        self.fd = fd
        self.expected = frozenset(expected)
        self.items: Iterator[Union[bytes, _Plain]] = iter(expected)


class Walk:
    """Iterate over it once. `cross` names the mount points that are walked, no other one is; `readers` is how many processes read, and
    `known` what they need not read."""

    def __init__(self, root: Root, rules: Rules, blind: Blind, database: Database, cross: Sequence[bytes] = (), readers: int = 0, known: Optional[Known] = None) -> None:
        self._root = root
        self._rules = rules
        self._blind = blind
        self._database = database
        crossed = [root.resolve(path) for path in cross]
        self._mounts = frozenset(mounts.mounts(root.path)).difference(crossed)
        device = os.fstat(root.fd).st_dev
        self._devices: FrozenSet[int] = frozenset([device, *_devices(root, crossed)])
        self._mount = mounts.mount_id(root.fd)
        self._known = known or Known()
        self._reading = Reading(self._devices, database.digests, blind, self._known)
        self._links: Dict[Tuple[int, int], Found] = {}
        self._readers = Readers(readers, self._reader())

    def _reader(self) -> Read:
        """What a process does with one name; it answers what is told, and the blind spots."""
        spots: List[Tuple[bytes, str]] = []
        reading = Reading(self._devices, self._database.digests, lambda path, reason: spots.append((path, reason)), self._known)

        def read(folder: int, path: bytes, name: bytes) -> Answer:
            found = reading.plain(folder, path, name)
            if found is None:
                return None
            if spots:
                found.seen = b""
            answer = rows.told(found, self._database), list(spots)
            spots.clear()
            return answer

        return read

    def __iter__(self) -> Iterator[Told]:
        """What is told of every path, in walk order."""
        queue: Deque[Union[Found, _Plain]] = collections.deque()
        with self._readers:
            for item in self._paths():
                queue.append(item)
                if len(queue) > AHEAD:
                    told = self._told(queue.popleft())
                    if told is not None:
                        yield told
            for item in queue:
                told = self._told(item)
                if told is not None:
                    yield told

    def _told(self, item: Union[Found, _Plain]) -> Optional[Told]:
        """None for what has vanished."""
        if isinstance(item, Found):
            return rows.told(item, self._database)
        told: Optional[Told] = None
        answer = item.batch.answer(item.index)
        if answer is None:
            found = self._look(item.batch.folder, item.folder, item.name)
            told = rows.told(found, self._database) if found is not None else None
        else:
            told, spots = answer
            for path, reason in spots:
                self._blind(path, reason)
        item.batch.done()
        return told

    def _paths(self) -> Iterator[Union[Found, _Plain]]:
        top = Found(b"/", os.fstat(self._root.fd))
        self._reading.attributes(top, self._root.fd)
        yield top
        stack = [_Folder(b"/", os.dup(self._root.fd), self._database.expected(b"/"))]
        stack[0].items = self._items(stack[0])
        while stack:
            folder = stack[-1]
            item = next(folder.items, None)
            if item is None:
                _close(stack.pop())
            elif isinstance(item, _Plain):
                yield item
            else:
                found = self._look(folder.fd, folder.path, item)
                if found is not None:
                    below = [] if found.excluded else self._below(folder, item, found)
                    yield found
                    stack.extend(below)

    def _below(self, folder: _Folder, name: bytes, found: Found) -> List[_Folder]:
        """The folder to walk next, if `found` is one, or was meant to be one."""
        below = _Folder(found.path, None, self._database.expected(found.path))
        if found.kind == "directory" and folder.fd is not None:
            try:
                below.fd = open_at(name, FOLDER, folder.fd)
                if not _same(os.fstat(below.fd), found.stat):
                    raise OSError(0, "changed while being read")
                self._reading.attributes(found, below.fd)
                below.items = self._items(below)
            except OSError as error:
                _close(below)
                self._blind(found.path, why(error))
                return []
        return [below]

    def _items(self, folder: _Folder) -> Iterator[Union[bytes, _Plain]]:
        """Every name of an open folder, those of plain files given away to be read. Raises OSError at once."""
        assert folder.fd is not None
        there = _plain_names(folder.fd)
        return self._slices(folder, sorted(folder.expected.union(there)), there)

    def _slices(self, folder: _Folder, names: List[bytes], there: Dict[bytes, bool]) -> Iterator[Union[bytes, _Plain]]:
        assert folder.fd is not None
        for start in range(0, len(names), SLICE):
            part = names[start : start + SLICE]
            plain = [name for name in part if there.get(name) and self._is_read(join(folder.path, name))]
            batch = self._readers.submit(folder.fd, folder.path, plain) if plain else None
            index = 0
            for name in part:
                if batch is not None and index < len(plain) and plain[index] == name:
                    yield _Plain(batch, index, folder.path, name)
                    index += 1
                else:
                    yield name

    def _is_read(self, path: bytes) -> bool:
        """Whether a file at `path` needs nothing but to be read."""
        return path not in self._mounts and self._rules.why(path) is None and not self._database.expects_in(path)

    def _look(self, folder: Optional[int], where: bytes, name: bytes) -> Optional[Found]:
        path = join(where, name)
        stat: Optional[os.stat_result] = None
        if folder is not None:
            try:
                stat = os.stat(name, dir_fd=folder, follow_symlinks=False)
            except FileNotFoundError:
                if name not in self._database.expected(where):
                    self._blind(path, "vanished")
                    return None
            except OSError as error:
                self._blind(path, why(error))
                return None
        found = Found(path, stat)
        found.excluded = self._rules.why(path)
        if stat is None or folder is None:
            return found if found.excluded is None else None
        if found.excluded is None and self._mounted(folder, name, found, stat):
            found.excluded = "mount"
        if found.excluded is None:
            self._fill(folder, name, found, stat)
        return found

    def _mounted(self, folder: int, name: bytes, found: Found, stat: os.stat_result) -> bool:
        if found.path in self._mounts:
            return True
        if stat.st_dev in self._devices:
            return False
        # Another number need not be another mount (overlayfs over several file systems, btrfs subvolumes): ask for the mount itself.
        try:
            fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        except OSError:
            return True
        try:
            mount = mounts.mount_id(fd)
        finally:
            os.close(fd)
        return mount is None or mount != self._mount

    def _fill(self, folder: int, name: bytes, found: Found, stat: os.stat_result) -> None:
        if found.kind == "directory":
            return
        if stat.st_nlink > 1:
            found.hardlink = self._links.setdefault((stat.st_dev, stat.st_ino), found)
        first = found.hardlink
        if first not in (None, found):
            assert first is not None
            found.xattrs, found.target, found.flags, found.content = first.xattrs, first.target, first.flags, first.content
            found.stat = first.content.stat if first.content is not None else found.stat
        elif found.kind == "file":
            self._reading.file(folder, name, found)
        else:
            self._special(folder, name, found)

    def _special(self, folder: int, name: bytes, found: Found) -> None:
        if found.kind == "symlink":
            try:
                found.target = os.readlink(name, dir_fd=folder)
            except OSError as error:
                self._blind(found.path, why(error))
        self._reading.attributes(found, xattrs.beside(folder, name))


def _plain_names(folder: int) -> Dict[bytes, bool]:
    """Every name in an open folder, and whether it seems to be a regular file."""
    try:
        with os.scandir(folder) as entries:
            kinds = {entry.name: entry.is_file(follow_symlinks=False) for entry in entries}
        # Encoded all at once: no name has a NUL.
        names = os.fsencode("\0".join(kinds)).split(b"\0")
        return dict(zip(names, kinds.values())) if kinds else {}  # noqa: B905
    except TypeError:
        # Python 3.6 cannot list a descriptor so.
        return {os.fsencode(name): _is_file(folder, name) for name in os.listdir(folder)}


def _is_file(folder: int, name: str) -> bool:
    try:
        return st.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    except OSError:
        return False


def _devices(root: Root, cross: Sequence[bytes]) -> Iterator[int]:
    for path in cross:
        try:
            yield root.lstat(path).st_dev
        except OSError:
            continue


def _same(one: os.stat_result, other: Optional[os.stat_result]) -> bool:
    return other is not None and (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)


def _close(folder: _Folder) -> None:
    if folder.fd is not None:
        os.close(folder.fd)
