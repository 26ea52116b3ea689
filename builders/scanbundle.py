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
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import zstandard

from builders.stack import SCAN_BUNDLE
from scanner.errors import HostileInput, UserError
from scanner.metadata import of_member
from scanner.overlay import CONTENTS, FOREIGN, Archive, is_whiteout, member_path
from scanner.report import FileEntry, Report, ScanReport, State, file_table, walk_key, write_head
from scanner.wire import check

VERSION = "1.0"
PLACE = f"bundles/{SCAN_BUNDLE}/{VERSION}"
OVERLAY, MEMBERS, HEAD, TABLE = "overlay.tar", "members.ndjson", "report.json", "files.ndjson.zst"
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
    try:
        head = ScanReport.model_validate_json(files[HEAD].read_bytes())
    except ValueError as error:
        raise HostileInput(f"{HEAD} of the bundle {SCAN_BUNDLE} is no report: {error}", hint="export the template again") from error
    os.link(files[TABLE], into / TABLE)
    _checked(Report, into, head)
    head.overlay = head.overlay and OVERLAY in files
    edited = _overlay(files, into, head) if head.overlay else []
    if FOREIGN in files:
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
    except (ValueError, TypeError, KeyError, zstandard.ZstdError) as error:
        raise HostileInput(f"{TABLE} of the bundle {SCAN_BUNDLE} is no file table: {error}", hint="export the template again") from error


def _overlay(files: dict[str, Path], into: Path, head: ScanReport) -> list[str]:
    found = _prints(files[OVERLAY])
    try:
        known: dict[str, str] = dict(json.loads(line) for line in files[MEMBERS].read_text("ascii").splitlines()) if MEMBERS in files else {}
    except (ValueError, TypeError) as error:
        raise HostileInput(f"{MEMBERS} of the bundle {SCAN_BUNDLE} is damaged: {error}", hint="export the template again") from error
    edited = sorted(path for path in found.keys() | known.keys() if found.get(path) != known.get(path))
    with files[OVERLAY].open("rb") as plain, (into / CONTENTS).open("wb") as out:
        zstandard.ZstdCompressor(level=3).copy_stream(plain, out)
    if edited:
        _reconcile(files[OVERLAY], into, head, set(edited), found)
    return edited


def _prints(overlay: Path) -> dict[str, str]:
    """Path -> digest of everything that its last member says. Raises `HostileInput`."""
    prints: dict[str, str] = {}
    for path, member, tar in _members(overlay):
        facts = [member.type.decode("latin-1"), member.size, member.linkname if member.type in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""]
        metadata = of_member(member)
        attributes = sorted((name, value.hex()) for name, value in metadata.xattrs.items())
        said = [*facts, metadata.mode, metadata.uid, metadata.gid, metadata.mtime, attributes, member.devmajor, member.devminor]
        prints[path] = hashlib.sha256(json.dumps(said).encode() + _digest(tar, member)).hexdigest()
    return prints


def _members(overlay: Path) -> Iterator[tuple[str, tarfile.TarInfo, tarfile.TarFile]]:
    try:
        with Archive.open(overlay, mode="r:", encoding="utf-8", errors="surrogateescape") as tar:
            for member in tar:
                yield member_path(member), member, tar
    except (tarfile.TarError, EOFError) as error:
        raise HostileInput(f"{OVERLAY} of the bundle {SCAN_BUNDLE} is no tar archive: {error}", hint="export the template again") from error


def _digest(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    """sha256 of a regular file's contents; nothing for the rest."""
    contents = tar.extractfile(member) if member.isreg() else None
    if contents is None:
        return b""
    return hashlib.file_digest(contents, "sha256").digest()  # type: ignore[arg-type]


def _reconcile(overlay: Path, folder: Path, head: ScanReport, edited: set[str], found: dict[str, str]) -> None:
    """Make the file table say what the edited overlay holds: the last pass believes the table."""
    fresh = {path: _entry(path, member, tar) for path, member, tar in _members(overlay) if path in edited}
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


def _entry(path: str, member: tarfile.TarInfo, tar: tarfile.TarFile) -> FileEntry:
    metadata = of_member(member)
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
