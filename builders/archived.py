"""The archive of a template or bundle, as hammr makes and saves it: a gzip-compressed tar.

    template.yml | template.json      the configuration (anywhere in the archive)
    config/…  logo/…  bundles/…       the files that its `source` keys name

What comes in is never trusted: names lead nowhere outside, there are no links to follow and no devices, and neither names nor contents
may grow without end. Members may repeat (hammr adds folders whole and their files again); the last one counts.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from scanner.errors import HostileInput
from scanner.overlay import Bounded
from scanner.restore import Restorer

CONFIGURATIONS = {"template": ("template.yml", "template.yaml", "template.json"), "bundle": ("bundle.yml", "bundle.yaml", "bundle.json")}
CONFIGURATION = 8 << 20
"""Bytes that a configuration may have."""
HINT = "make the archive again from the files that it was made of"


@dataclass(frozen=True, slots=True)
class Limits:
    """What an archive may grow to."""

    bytes: int = 64 << 30
    """Of all members together, holes included."""
    members: int = 500_000
    ratio: int = 400
    """Contents may be so many times as long as the archive, beyond `free`."""
    free: int = 256 << 20
    name: int = 1024
    """Bytes of a member's name."""
    depth: int = 64

    def of(self, archive: Path) -> int:
        """The bytes that the contents of that archive may have."""
        return min(self.bytes, self.free + archive.stat().st_size * self.ratio)


class _Info(Bounded):
    """Nothing in here has attributes."""

    longest = 1 << 20


def unpack_archive(archive: Path, into: Path, limits: Limits | None = None) -> list[str]:
    """Put every member below the empty folder `into`; answers the names of its files. Raises `HostileInput`, which names the member."""
    limits = limits or Limits()
    allowed = limits.of(archive)
    names: dict[str, None] = {}
    whole = 0
    with _opened(archive) as tar, Restorer(into) as restorer:
        for number, member in enumerate(tar, 1):
            tar.members.clear()  # type: ignore[attr-defined]
            whole += max(0, member.size)
            if number > limits.members or whole > allowed:
                raise HostileInput(f"the archive holds more than it may: refused at member {number}, {whole} bytes in all", hint=HINT)
            name = member_name(member, limits)
            if name:
                restorer.restore(f"/{name}", member, tar, contents_only=True)
                if member.isreg() or member.islnk():
                    names[name] = None
    return [name for name in names if (into / name).is_file()]


def member_name(member: tarfile.TarInfo, limits: Limits) -> str:
    """The plain relative name of a member; empty for the top folder itself. Raises `HostileInput` for what may not be in an archive."""
    shown = member.name.encode("utf-8", "backslashreplace").decode()[:120]
    if not (member.isreg() or member.isdir() or member.islnk()):
        why = "a link is given by the key `symlink`" if member.issym() else "an archive holds files and folders only"
        raise HostileInput(f"the member '{shown}' is refused: {why}", hint=HINT)
    parts = [part for part in member.name.split("/") if part not in ("", ".")]
    raw = os.fsencode("/".join(parts))
    if member.name.startswith("/") or ".." in parts or "\0" in member.name or "\\" in member.name:
        raise HostileInput(f"the member '{shown}' is refused: its name leads out of the archive", hint=HINT)
    if len(raw) > limits.name or len(parts) > limits.depth or any(len(os.fsencode(part)) > 255 for part in parts):
        raise HostileInput(f"the member '{shown}' is refused: its name is too long", hint=HINT)
    return "/".join(parts)


@contextlib.contextmanager
def _opened(archive: Path) -> Iterator[tarfile.TarFile]:
    try:
        with _stream(archive) as tar:
            yield tar
    except (tarfile.TarError, zlib.error, EOFError, gzip.BadGzipFile) as error:
        raise HostileInput(f"this is no archive (gzip-compressed tar), or a damaged one: {error}", hint=HINT) from error
    except (UnicodeError, ValueError, OSError) as error:
        if isinstance(error, HostileInput) or (isinstance(error, OSError) and error.errno not in (None, 36)):
            raise
        raise HostileInput(f"the archive is damaged: {error}", hint=HINT) from error


def _stream(archive: Path) -> tarfile.TarFile:
    try:
        return tarfile.open(archive, "r|gz", encoding="utf-8", errors="surrogateescape", tarinfo=_Info)
    except TypeError as error:
        # What tarfile makes of a gzip header that is cut off.
        raise tarfile.ReadError("its beginning is cut off") from error


def configuration(folder: Path, kind: str = "template") -> Path:
    """The configuration of an unpacked archive: `template.yml` and so on. Raises `HostileInput` when there is none, or more than one."""
    found = [folder / name for name in CONFIGURATIONS[kind] if (folder / name).is_file()]
    if len(found) != 1:
        what = "both " + " and ".join(path.name for path in found) if found else f"none of {', '.join(CONFIGURATIONS[kind])}"
        raise HostileInput(f"the archive of a {kind} has its configuration at the top: this one has {what}", hint=HINT)
    if found[0].stat().st_size > CONFIGURATION:
        raise HostileInput(f"{found[0].name} is longer than {CONFIGURATION} bytes", hint=HINT)
    return found[0]


@contextlib.contextmanager
def packing(archive: Path) -> Iterator[tarfile.TarFile]:
    """A writer of an archive; complete only when the block ends well."""
    partial = archive.with_name(archive.name + ".partial")
    try:
        # The name in the gzip header would be that of this machine's file; time 0 makes equal contents equal archives.
        with partial.open("wb") as out, gzip.GzipFile("", "wb", compresslevel=1, fileobj=out, mtime=0) as packed:
            with tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as tar:
                yield tar
        partial.rename(archive)
    finally:
        partial.unlink(missing_ok=True)


def add_file(tar: tarfile.TarFile, name: str, source: Path) -> None:
    """One file of root's under that name."""
    member = tarfile.TarInfo(name)
    info = source.stat()
    member.size, member.mode, member.mtime = info.st_size, 0o644, int(info.st_mtime)
    with source.open("rb") as contents:
        tar.addfile(member, contents)


def add_text(tar: tarfile.TarFile, name: str, text: str) -> None:
    """One file with that text."""
    data = text.encode()
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(data), 0o644
    tar.addfile(member, io.BytesIO(data))
