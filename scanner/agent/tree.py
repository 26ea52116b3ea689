"""Access below a root folder that symlinks inside it cannot lead out of, even while the tree changes.

Paths are absolute *inside* the root, as bytes: `b"/etc/passwd"`. No call follows a symlink by the kernel's hand: links are read
and resolved here, and every folder on the way is opened relative to the one before (openat with O_NOFOLLOW).
"""

import errno
import os
from typing import Dict, List, Optional

LINKS_AT_MOST = 40
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: a file that turned into a fifo since it was seen must not hang the scan.
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY


def open_at(name: bytes, flags: int, folder: int) -> int:
    """openat without touching the access time where the kernel allows that (owner or root only)."""
    try:
        return os.open(name, flags | os.O_NOATIME, dir_fd=folder)
    except PermissionError:
        return os.open(name, flags, dir_fd=folder)


def join(folder: bytes, name: bytes) -> bytes:
    """The path of `name` in `folder`."""
    return folder + name if folder == b"/" else folder + b"/" + name


class Root:
    """A folder that is taken for `/`. Raises OSError as the system calls do."""

    def __init__(self, path: bytes) -> None:
        self.path = path
        self.fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._folders: Dict[bytes, bytes] = {}
        self.forget()

    def close(self) -> None:
        os.close(self.fd)

    def resolve(self, path: bytes, follow: bool = True) -> bytes:
        """The path without symlinks in it, as a process with this root would see it; the last name too when `follow`."""
        todo = [part for part in path.split(b"/") if part][::-1]
        done: List[bytes] = []
        hops = 0
        while todo:
            part = todo.pop()
            if part == b"..":
                del done[-1:]
            if part in (b".", b".."):
                continue
            target = self._link(b"/".join(done + [part])) if todo or follow else None
            if target is None:
                done.append(part)
                continue
            hops += 1
            if hops > LINKS_AT_MOST:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
            if target.startswith(b"/"):
                done = []
            todo.extend(part for part in target.split(b"/")[::-1] if part)
        return b"/" + b"/".join(done)

    def _link(self, relative: bytes) -> Optional[bytes]:
        try:
            return os.readlink(relative, dir_fd=self.fd)
        except OSError:
            return None

    def place(self, path: bytes) -> bytes:
        """`path` with its folder resolved and its own name left alone: where the walk meets it. Folders are remembered."""
        head, _, name = path.rstrip(b"/").rpartition(b"/")
        folder = self._folders.get(head)
        if folder is None:
            try:
                folder = self.resolve(head)
            except OSError:
                folder = head
            self._folders[head] = folder
        return join(folder, name) if name else folder

    def forget(self) -> None:
        """Resolve folders anew from here on: the caller has changed links or folders."""
        self._folders = {b"": b"/", b"/": b"/"}

    def folder(self, path: bytes) -> int:
        """A descriptor of the folder at `path`, which must have no symlink in it."""
        here = os.dup(self.fd)
        try:
            for part in path.split(b"/"):
                if part:
                    here, above = os.open(part, FOLDER, dir_fd=here), here
                    os.close(above)
        except BaseException:
            os.close(here)
            raise
        return here

    def open(self, path: bytes) -> int:
        """A descriptor of the file that `path` leads to, symlinks resolved inside the root."""
        head, _, name = self.resolve(path).rpartition(b"/")
        folder = self.folder(head)
        try:
            return open_at(name or b".", FILE, folder)
        finally:
            os.close(folder)

    def lstat(self, path: bytes) -> os.stat_result:
        """The status of what is at `path` itself."""
        head, _, name = self.place(path).rpartition(b"/")
        folder = self.folder(head)
        try:
            return os.stat(name or b".", dir_fd=folder, follow_symlinks=False)
        finally:
            os.close(folder)

    def readlink(self, path: bytes) -> Optional[bytes]:
        """Where the symlink at `path` points, verbatim; None when it is none."""
        return self._link(self.place(path)[1:])

    def names(self, path: bytes) -> List[bytes]:
        """Sorted names in the folder that `path` leads to; none when it is not there."""
        try:
            folder = self.folder(self.resolve(path))
        except OSError:
            return []
        try:
            return sorted(os.fsencode(name) for name in os.listdir(folder))
        finally:
            os.close(folder)

    def read(self, path: bytes, at_most: int = 256 << 20) -> Optional[bytes]:
        """The content of the file that `path` leads to; None when there is none or it cannot be read."""
        try:
            fd = self.open(path)
        except OSError:
            return None
        try:
            with open(fd, "rb", closefd=False) as source:
                return source.read(at_most)
        except OSError:
            return None
        finally:
            os.close(fd)


def text(raw: Optional[bytes]) -> str:
    """Bytes as `str` with every byte that is not UTF-8 as a lone surrogate: how paths travel in the file table."""
    return (raw or b"").decode("utf-8", "surrogateescape")


def printable(raw: Optional[bytes]) -> str:
    """Bytes as `str` that any JSON reader takes: bytes that are not UTF-8 become `\\udcff` escapes, spelled out."""
    return text(raw).encode("utf-8", "backslashreplace").decode("utf-8")
