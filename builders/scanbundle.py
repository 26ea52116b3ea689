"""The scan inside a template: one bundle of its archive, which a person can edit and which gives back the same machine when he does not.

    overlay.tar        what packages alone would not give back; GNU tar lists it, adds to it (`tar -rf`) and deletes from it
    members.ndjson     one digest a member of `overlay.tar`, by which edits are found
    report.json, files.ndjson.zst, foreign.tar.zst     the scan itself (see `scanner/report.py`)
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import math
import os
import tarfile
from copy import copy
from pathlib import Path
from typing import Any

import zstandard

from builders.archived import Limits
from builders.stack import SCAN_BUNDLE
from builders.strangers import check_packed, members, refusing
from scanner.errors import HostileInput, UserError
from scanner.metadata import Metadata
from scanner.overlay import CONTENTS, FOREIGN, is_whiteout
from scanner.report import FileEntry, Report, ScanReport, State, file_table, walk_key, write_head
from scanner.restore import extents
from scanner.wire import check

VERSION = "1.0"
PLACE = f"bundles/{SCAN_BUNDLE}/{VERSION}"
OVERLAY, MEMBERS, HEAD, TABLE = "overlay.tar", "members.ndjson", "report.json", "files.ndjson.zst"
LONGEST = {HEAD: 64 << 20, MEMBERS: 256 << 20}
"""Bytes of what is read into memory."""
DESCRIPTION = "The scanned system. Edit overlay.tar with GNU tar (tar -rf adds, tar --delete removes); leave the other files as they are."
_TYPES = {tarfile.DIRTYPE: "directory", tarfile.SYMTYPE: "symlink", tarfile.FIFOTYPE: "fifo", tarfile.CHRTYPE: "char", tarfile.BLKTYPE: "block"}
_CHANGED = (State.UNMANAGED, State.CONFFILE_CHANGED, State.MANAGED_CHANGED)


def bundle(scan: Path) -> dict[str, Any]:
    """The bundle of a template's stack that stands for the scan."""
    files: list[dict[str, Any]] = [{"name": name, "source": f"{PLACE}/{name}"} for name in (HEAD, TABLE)]
    if (scan / CONTENTS).exists():
        files += [{"name": OVERLAY, "source": f"{PLACE}/{OVERLAY}", "destination": "/", "extract": True}, {"name": MEMBERS, "source": f"{PLACE}/{MEMBERS}"}]
    if (scan / FOREIGN).exists():
        files.append({"name": FOREIGN, "source": f"{PLACE}/{FOREIGN}"})
    return {"name": SCAN_BUNDLE, "version": VERSION, "description": DESCRIPTION, "files": files}


def lay_out(scan: Path, into: Path) -> None:
    """The bundle's files, in folder `into`."""
    os.link(scan / "head.json", into / HEAD)
    os.link(scan / TABLE, into / TABLE)
    if (scan / FOREIGN).exists():
        os.link(scan / FOREIGN, into / FOREIGN)
    if (scan / CONTENTS).exists():
        with (scan / CONTENTS).open("rb") as packed, (into / OVERLAY).open("wb") as out:
            zstandard.ZstdDecompressor().copy_stream(packed, out)
        with (into / MEMBERS).open("w", encoding="ascii") as lines:
            for path, print_ in _prints(into / OVERLAY).items():
                lines.write(json.dumps([path, print_]) + "\n")


def take(files: dict[str, Path], into: Path) -> list[str]:
    """Make the scan in folder `into` of a bundle's files, by name; answers which paths of the overlay were edited.

    Raises `HostileInput` for what is no scan, `UserError` for an edit that cannot be built.
    """
    if HEAD not in files or TABLE not in files:
        raise HostileInput(f"the bundle {SCAN_BUNDLE} lacks {HEAD} or {TABLE}", hint="export the template again")
    for name, path in files.items():
        if not path.is_file():
            raise HostileInput(f"{_told(name)} is a folder, not a file", hint="export the template again")
        if path.stat().st_size > LONGEST.get(name, math.inf):
            raise HostileInput(f"{_told(name)} is longer than any can be", hint="export the template again")
    try:
        head = ScanReport.model_validate_json(files[HEAD].read_bytes())
    except ValueError as error:
        raise HostileInput(f"{_told(HEAD)} is no report: {error}", hint="export the template again") from error
    os.link(files[TABLE], into / TABLE)
    _checked(Report, into, head)
    head.overlay = head.overlay and OVERLAY in files
    edited = _overlay(files, into, head) if head.overlay else []
    if FOREIGN in files:
        check_packed(files[FOREIGN], _told(FOREIGN))
        os.link(files[FOREIGN], into / FOREIGN)
    write_head(into, head)
    return edited


def _checked(report: type[Report], folder: Path, head: ScanReport) -> None:
    write_head(folder, head)
    last: bytes = b""
    # A head that was edited may lie about its table; what counts is in the lines.
    try:
        for entry in report(folder).files():
            key = walk_key(check(entry).path)
            if last and key <= last:
                raise ValueError(f"{entry.path!r} is out of order")
            last = key
    except (ValueError, TypeError, KeyError, RecursionError, zstandard.ZstdError) as error:
        raise HostileInput(f"{_told(TABLE)} is no file table: {error}", hint="export the template again") from error


def _told(name: str) -> str:
    return f"{name} of the bundle {SCAN_BUNDLE}"


def _overlay(files: dict[str, Path], into: Path, head: ScanReport) -> list[str]:
    found = _prints(files[OVERLAY])
    try:
        known: dict[str, str] = dict(json.loads(line) for line in files[MEMBERS].read_text("ascii").splitlines()) if MEMBERS in files else {}
    except (ValueError, TypeError, RecursionError) as error:
        raise HostileInput(f"{_told(MEMBERS)} is damaged: {error}", hint="export the template again") from error
    edited = sorted(path for path in found.keys() | known.keys() if found.get(path) != known.get(path))
    with files[OVERLAY].open("rb") as plain, (into / CONTENTS).open("wb") as out:
        zstandard.ZstdCompressor(level=3).copy_stream(plain, out)
    if edited:
        _reconcile(files[OVERLAY], into, head, set(edited), found)
    return edited


def _prints(overlay: Path) -> dict[str, str]:
    """Path -> digest of everything that its last member says. Raises `HostileInput`."""
    prints: dict[str, str] = {}
    with refusing(_told(OVERLAY)):
        for path, member, metadata, tar in members(overlay, _told(OVERLAY)):
            facts = [member.type.decode("latin-1"), member.size, member.linkname if member.type in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""]
            attributes = sorted((name, value.hex()) for name, value in metadata.xattrs.items())
            said = [*facts, metadata.mode, metadata.uid, metadata.gid, metadata.mtime, attributes, member.devmajor, member.devminor]
            prints[path] = hashlib.sha256(json.dumps(said).encode() + _print(tar, member)).hexdigest()
    return prints


def _print(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    """Of a regular file's contents; nothing for the rest. Holes are taken as they are told, however long: a few bytes can claim any length."""
    if not member.issparse():
        return _digest(tar, member)
    parts = extents(member)
    found = hashlib.sha256(json.dumps(parts).encode())
    data = tarfile.ExFileObject(tar, _solid(member, sum(length for _, length in parts)))
    return found.digest() + hashlib.file_digest(data, "sha256").digest()


def _solid(member: tarfile.TarInfo, size: int) -> tarfile.TarInfo:
    """The member's data alone, without its holes."""
    made = copy(member)
    made.sparse, made.size = None, size
    return made


def _digest(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    """sha256 of a regular file's contents; nothing for the rest."""
    contents = tar.extractfile(member) if member.isreg() else None
    if contents is None:
        return b""
    return hashlib.file_digest(contents, "sha256").digest()  # type: ignore[arg-type]


def _reconcile(overlay: Path, folder: Path, head: ScanReport, edited: set[str], found: dict[str, str]) -> None:
    """Make the file table say what the edited overlay holds: the last pass believes the table."""
    fresh = {}
    left = Limits().of(overlay)
    with refusing(_told(OVERLAY)):
        for path, member, metadata, tar in members(overlay, _told(OVERLAY)):
            if path in edited:
                left -= member.size
                if left < 0:
                    raise HostileInput(f"{_told(OVERLAY)} holds more than it may: refused at {path!r}", hint="give it smaller files, or files with fewer holes")
                fresh[path] = _entry(path, member, metadata, tar)
    gone = edited - found.keys()
    pending = sorted((path for path, entry in fresh.items() if entry.state != State.MISSING), key=walk_key)
    count = 0
    old = folder / "before"
    (folder / TABLE).rename(old)
    with zstandard.open(old, "rb") as packed, file_table(folder) as out:
        for line in io.BufferedReader(packed, 1 << 20):
            entry = FileEntry.from_json(line)
            key = walk_key(entry.path)
            while pending and walk_key(pending[0]) < key:
                out.write(fresh[pending.pop(0)].to_json().encode() + b"\n")
                count += 1
            if pending and pending[0] == entry.path:
                pending.pop(0)
            for kept in _edited(entry, fresh, gone):
                out.write(kept.to_json().encode() + b"\n")
                count += 1
        for path in pending:
            out.write(fresh[path].to_json().encode() + b"\n")
            count += 1
    old.unlink()
    head.counts = {**head.counts, "files": count}
    head.digest = hashlib.sha256((head.digest + json.dumps(sorted(edited))).encode()).hexdigest()


def _edited(entry: FileEntry, fresh: dict[str, FileEntry], gone: set[str]) -> list[FileEntry]:
    """The entry as it is after the edits; none when it went away."""
    new = fresh.get(entry.path)
    if new is not None:
        if entry.package:
            new.package, new.reason = entry.package, entry.reason
            new.state = new.state if new.state == State.MISSING else State.MANAGED_CHANGED
        return [new]
    if entry.path not in gone:
        return [entry]
    if entry.state == State.UNMANAGED:
        return []
    if entry.state in _CHANGED and entry.package:
        entry.state, entry.reason = State.MANAGED, "edited"
        return [entry]
    raise UserError(f"the deletion of {entry.path} was taken out of {OVERLAY}", hint="put the file itself into the overlay")


def _entry(path: str, member: tarfile.TarInfo, metadata: Metadata, tar: tarfile.TarFile) -> FileEntry:
    made = FileEntry(path=path, type=_TYPES.get(member.type, "file"), state=State.UNMANAGED, reason="edited")
    if is_whiteout(member):
        made.type, made.state = "file", State.MISSING
        return made
    if member.islnk():
        raise UserError(f"{path} was added to {OVERLAY} as a hard link", hint="add it with: tar -rf overlay.tar --hard-dereference")
    made.mode = "" if metadata.mode is None else f"{metadata.mode:04o}"
    made.uid, made.gid, made.mtime = metadata.uid, metadata.gid, metadata.mtime
    made.xattrs = {name: base64.b64encode(value).decode() for name, value in metadata.xattrs.items()}
    if made.type == "file":
        made.size, made.sha256 = member.size, _digest(tar, member).hex()
    if made.type == "symlink":
        made.target, made.size, made.mode = member.linkname, len(os.fsencode(member.linkname)), "0777"
    if made.type in ("char", "block"):
        made.device = f"{member.devmajor}:{member.devminor}"
    return made
