"""A snapshot as one file, `NAME.tar.zst`, for another machine."""

from __future__ import annotations

import tarfile
import uuid
from pathlib import Path

from emulator.control.snapshots.shelf import Shelf, Snapshot, checked, remove
from scanner.errors import HostileInput

LEVEL = 3


def pack(folder: Path, into: Path) -> None:
    """The whole folder; links between its files stay links."""
    import zstandard

    # Disks and keys: the owner's only, from the first byte.
    into.touch(mode=0o600)
    with into.open("wb") as out, zstandard.ZstdCompressor(level=LEVEL).stream_writer(out) as packed, tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        archive.add(folder, arcname=".")


def take_in(shelf: Shelf, archive: Path, name: str, *, replace: bool = False) -> Snapshot:
    """Make a snapshot of an archive, under `name` or its own. Raises `HostileInput`, `UserError`, `Conflict`; then nothing is left."""
    folder = shelf.folder / f".import-{uuid.uuid4().hex}"
    try:
        _unpack(archive, folder)
        found = checked(folder)
        made = found.model_copy(update={"name": name or found.name})
        (folder / "snapshot.json").write_text(made.model_dump_json(indent=1), encoding="utf-8")
        with shelf.new(made.name, replace=replace) as place:
            place.rmdir()
            folder.rename(place)
    finally:
        remove(folder)
    return made


def _unpack(archive: Path, folder: Path) -> None:
    """No member gets out of the folder, and none is a device (PEP 706). Raises `HostileInput`."""
    import zstandard

    folder.mkdir(mode=0o700)
    try:
        with archive.open("rb") as packed, zstandard.ZstdDecompressor().stream_reader(packed) as plain, tarfile.open(fileobj=plain, mode="r|") as tar:
            tar.extractall(folder, filter="data")
    except (tarfile.TarError, zstandard.ZstdError, EOFError, OSError, ValueError) as error:
        raise HostileInput(f"this is no archive of a snapshot: {error}", hint="forgelet snapshot export makes one") from error
