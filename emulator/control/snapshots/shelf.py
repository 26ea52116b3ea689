"""Snapshots as they lie on the disk, each a folder that a person can read:

snapshot.json    what it is: name, time, format, revision of the database, how much there is of what
tables/NAME.json the rows of one table, a dictionary each
files/           the folders of the data folder (`emulator/folders.py`); large files are hard links, which never change
determinism.json how time is set and numbers are seeded
instances/       instances of the local cloud, with their disks
secrets.key      opens the secrets in the tables
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from emulator.errors import Conflict
from scanner.errors import HostileInput, NotFound, UserError

FORMAT = 2
READABLE = (1, 2)
"""Formats that can be loaded. The first had neither seeds nor `determinism.json`: what there is of both stays when one is loaded."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Snapshot(BaseModel):
    """`snapshot.json`"""

    model_config = ConfigDict(extra="forbid")

    format: int = FORMAT
    name: str
    created: str
    forgelet: str
    revision: str
    """Of the database."""
    rows: dict[str, int] = Field(default_factory=dict)
    sequences: dict[str, int] = Field(default_factory=dict)
    """Table -> the last number that was given in it."""
    instances: dict[str, str] = Field(default_factory=dict)
    """Instance -> `running` or `stopped`"""
    notes: list[str] = Field(default_factory=list)
    """What is not in it."""


class Shelf:
    """The snapshots of one data folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def all(self) -> list[Snapshot]:
        """Oldest first."""
        found = [_read(file) for file in self.folder.glob("*/snapshot.json") if not file.parent.name.startswith(".")]
        return sorted(found, key=lambda one: (one.created, one.name))

    def find(self, name: str) -> Path:
        """The folder of a snapshot. Raises `NotFound`, `UserError`."""
        place = self.place(name)
        if not (place / "snapshot.json").is_file():
            raise NotFound(f"there is no snapshot '{name}'", hint="forgelet snapshot list")
        return place

    def read(self, name: str) -> Snapshot:
        """What a snapshot says of itself. Raises `NotFound`, `UserError`."""
        return _read(self.find(name) / "snapshot.json")

    def place(self, name: str) -> Path:
        """Where a snapshot of that name lies. Raises `UserError` for a name that is none."""
        if not NAME.fullmatch(name):
            raise UserError(f"'{name}' is no name of a snapshot", hint="letters, digits, dots, dashes; 64 at most")
        return self.folder / name

    @contextmanager
    def new(self, name: str, *, replace: bool = False) -> Iterator[Path]:
        """A folder to be filled, which becomes the snapshot when the block ends well. Raises `Conflict` for a name that is taken."""
        place = self.place(name)
        if place.exists() and not replace:
            raise Conflict(f"there is a snapshot '{name}' already", hint="give another name, or --replace")
        partial = self.folder / f".{name}.partial"
        remove(partial)
        partial.mkdir(parents=True, mode=0o700)
        try:
            yield partial
            remove(place)
            partial.rename(place)
        finally:
            remove(partial)

    def delete(self, name: str) -> None:
        """Raises `NotFound`."""
        remove(self.find(name))


def remove(folder: Path) -> None:
    """Remove a snapshot's folder; instances in it are root's."""
    if folder.exists():
        shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        from builders.clouds.frozen import discard

        discard(folder)


def checked(folder: Path) -> Snapshot:
    """What came from elsewhere, when it can be loaded here. Raises `HostileInput`, `UserError`."""
    try:
        return fit(_read(folder / "snapshot.json"))
    except FileNotFoundError as error:
        raise HostileInput("this is no snapshot: it has no snapshot.json") from error


def fit(found: Snapshot) -> Snapshot:
    """The snapshot, when this Forgelet can load it. Raises `UserError`."""
    from emulator.storage.schema import HEAD

    if found.format not in READABLE:
        raise UserError(f"snapshot '{found.name}' has format {found.format}, this Forgelet reads {' and '.join(map(str, READABLE))}", hint="load it with the Forgelet that made it")
    # Columns that came since have a value to begin with (`rows.py`).
    if found.revision > HEAD:
        raise UserError(f"snapshot '{found.name}' has revision {found.revision} of the database, this Forgelet {HEAD}", hint=f"load it with Forgelet {found.forgelet}")
    return found


def _read(file: Path) -> Snapshot:
    try:
        return Snapshot.model_validate_json(file.read_bytes())
    except ValidationError as error:
        raise UserError(f"{file} is no description of a snapshot: {error.errors()[0]['msg']}", hint="forgelet snapshot delete") from error
