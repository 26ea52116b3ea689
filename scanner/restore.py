"""Putting members of an overlay into a tree, safely: whatever the archive or the tree hold, nothing outside the tree is touched."""

from __future__ import annotations

import os
import shutil
import stat as st
import tarfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO, cast

from scanner.agent.tree import FOLDER, Root
from scanner.errors import HostileInput
from scanner.metadata import Metadata, apply, of_member
from scanner.wire import safe_path

SkipPath = Callable[[str], bool]
CHUNK = 1 << 20
NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def keep_all(path: str) -> bool:
    """The `skip` that skips nothing."""
    return False


class Restorer:
    """A tree that members are put into. As a context manager: folders get their metadata when it is left."""

    def __init__(self, root: Path) -> None:
        self._path = root
        self._folders: list[tuple[bytes, Metadata]] = []

    def __enter__(self) -> Restorer:
        self._root = Root(os.fsencode(self._path))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if kind is None:
                for path, metadata in reversed(self._folders):
                    self._apply(path, metadata)
        finally:
            self._root.close()

    def restore(self, path: str, member: tarfile.TarInfo, tar: tarfile.TarFile, *, contents_only: bool = False) -> None:
        """Put one member at `path`, in the place of whatever is there; with `contents_only` no owner, mode, time or attribute is set.

        Raises `HostileInput` for paths and types that have no business here, OSError when the file system refuses.
        """
        raw = _checked(path)
        if raw == b"/":
            self._folders.append((raw, of_member(member)))
            return
        place = self._root.place(raw)
        head, _, name = place.rpartition(b"/")
        folder = self._make_folders(head)
        try:
            self._put(folder, name, member, tar)
            if contents_only or member.islnk():
                return
            if member.isdir():
                self._folders.append((place, of_member(member)))
            else:
                apply(folder, name, of_member(member))
        finally:
            os.close(folder)

    def remove(self, path: str) -> bool:
        """Delete what is at `path`, a folder only when it is empty; whether something was deleted."""
        head, _, name = self._root.place(_checked(path)).rpartition(b"/")
        try:
            folder = self._root.folder(head)
        except OSError:
            return False
        try:
            present = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
            if st.S_ISDIR(present):
                os.rmdir(name, dir_fd=folder)
            else:
                os.unlink(name, dir_fd=folder)
            if not st.S_ISREG(present):
                self._root.forget()
        except OSError:
            return False
        finally:
            os.close(folder)
        return True

    def _apply(self, path: bytes, metadata: Metadata) -> None:
        head, _, name = path.rpartition(b"/")
        folder = self._root.folder(head)
        try:
            apply(folder, name or b".", metadata)
        finally:
            os.close(folder)

    def _make_folders(self, path: bytes) -> int:
        """A descriptor of the folder, made with all above it where it is not there."""
        here = os.dup(self._root.fd)
        try:
            for part in [one for one in path.split(b"/") if one]:
                if _mode(here, part) is None:
                    os.mkdir(part, 0o755, dir_fd=here)
                here, above = os.open(part, FOLDER, dir_fd=here), here
                os.close(above)
        except NotADirectoryError as error:
            os.close(here)
            raise HostileInput(f"the archive has members below {os.fsdecode(path)!r}, which is no folder in it") from error
        except BaseException:
            os.close(here)
            raise
        return here

    def _put(self, folder: int, name: bytes, member: tarfile.TarInfo, tar: tarfile.TarFile) -> None:
        present = _mode(folder, name)
        if member.issym() or (present is not None and _reroutes(present, member)):
            self._root.forget()
        if member.isdir():
            if present is None or not st.S_ISDIR(present):
                _clear(folder, name, present)
                os.mkdir(name, 0o700, dir_fd=folder)
            return
        _clear(folder, name, present)
        if member.isreg():
            source = tar.extractfile(member)
            assert source is not None
            with os.fdopen(os.open(name, NEW, 0o600, dir_fd=folder), "wb") as out:
                _copy(source, out, member)
        elif member.islnk():
            self._link(folder, name, member)
        elif member.issym():
            os.symlink(os.fsencode(member.linkname), name, dir_fd=folder)
        else:
            os.mknod(name, _special(member), os.makedev(member.devmajor, member.devminor), dir_fd=folder)

    def _link(self, folder: int, name: bytes, member: tarfile.TarInfo) -> None:
        target = self._root.place(_checked("/" + member.linkname.lstrip("/")))
        head, _, last = target.rpartition(b"/")
        try:
            source = self._root.folder(head)
        except OSError as error:
            raise HostileInput(f"a hardlink leads to {member.linkname!r}, which is not there") from error
        try:
            os.link(last, name, src_dir_fd=source, dst_dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError as error:
            raise HostileInput(f"a hardlink leads to {member.linkname!r}, which is not there") from error
        except PermissionError as error:
            raise HostileInput(f"a hardlink leads to {member.linkname!r}, which is a folder") from error
        finally:
            os.close(source)


def _reroutes(present: int, member: tarfile.TarInfo) -> bool:
    """Whether paths that lead over what is there will lead elsewhere when the member is in its place."""
    return st.S_ISLNK(present) or (st.S_ISDIR(present) and not member.isdir())


def _checked(path: str) -> bytes:
    try:
        safe_path(path)
    except ValueError as error:
        raise HostileInput(f"the archive names a path that is refused: {path!r}", hint="scan the machine again") from error
    return os.fsencode(path)


def _special(member: tarfile.TarInfo) -> int:
    for kind, mode in ((tarfile.FIFOTYPE, st.S_IFIFO), (tarfile.CHRTYPE, st.S_IFCHR), (tarfile.BLKTYPE, st.S_IFBLK)):
        if member.type == kind:
            return mode | 0o600
    raise HostileInput(f"the archive has a member of a type that is refused: {member.name!r}", hint="scan the machine again")


def _mode(folder: int, name: bytes) -> int | None:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return None


def _clear(folder: int, name: bytes, present: int | None) -> None:
    if present is None:
        return
    if st.S_ISDIR(present):
        shutil.rmtree(name, dir_fd=folder)
    else:
        os.unlink(name, dir_fd=folder)


def extents(member: tarfile.TarInfo) -> list[tuple[int, int]]:
    """Offset and length of each part of a regular member that the archive has data of; the rest is holes. Raises `HostileInput`."""
    told = cast(list[tuple[int, int]], member.sparse) if member.issparse() else [(0, member.size)]
    # Old maps are filled up with empty parts.
    parts = [(offset, length) for offset, length in told if length]
    end = 0
    for offset, length in parts:
        if length < 0 or offset < end or offset + length > member.size:
            raise HostileInput(f"the archive has a map of holes that is none: {member.name!r}")
        end = offset + length
    return parts


def _copy(source: IO[bytes], out: IO[bytes], member: tarfile.TarInfo) -> None:
    """The data extents where they belong; what lies between them stays a hole."""
    parts = extents(member)
    # The buffer around a member asks the stream whether it can seek, which a stream has no answer to; the member itself can, forwards.
    source = getattr(source, "raw", source)
    for offset, length in parts:
        source.seek(offset)
        out.seek(offset)
        left = length
        while left:
            chunk = source.read(min(CHUNK, left))
            if not chunk:
                raise HostileInput(f"the archive is cut inside {member.name!r}", hint="scan the machine again")
            out.write(chunk)
            left -= len(chunk)
    out.truncate(member.size)
