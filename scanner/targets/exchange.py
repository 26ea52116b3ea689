"""A folder through which a scan and an agent that reports by itself talk: orders one way, parts of answers the other.

The job writes orders and reads parts; whoever hears the agent hands out orders and puts parts. Every file appears whole, by a rename.

    orders/N.json   {"arguments": […], "paths": bool}       orders/N.paths   what `--paths -` or `--known -` reads
    parts/N/K       part K of the answer, a zlib stream, removed once it is read
    parts/N/end     {"parts": how many, "error": ""}
    alive           touched whenever the agent is heard
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfile


@dataclass(frozen=True, slots=True)
class End:
    """The last word on an answer."""

    parts: int
    error: str


class Exchange:
    """The folder's two ends. A FileNotFoundError of any of them means that the scan is over and the folder gone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def make(self) -> None:
        """Before the job begins, so that the agent may come first."""
        for name in ("orders", "parts"):
            (self.folder / name).mkdir(parents=True, exist_ok=True, mode=0o700)
        (self.folder / "alive").touch()

    def order(self, number: int, arguments: Sequence[str], paths: Path | None = None) -> None:
        """Ask for something."""
        (self.folder / "parts" / str(number)).mkdir(mode=0o700)
        if paths is not None:
            copyfile(paths, self.paths(number))
        self._write(self.folder / "orders" / f"{number}.json", json.dumps({"arguments": list(arguments), "paths": paths is not None}).encode())

    def ordered(self, number: int) -> bytes | None:
        """The order as JSON; None as long as there is none."""
        try:
            return (self.folder / "orders" / f"{number}.json").read_bytes()
        except FileNotFoundError:
            return None

    def paths(self, number: int) -> Path:
        return self.folder / "orders" / f"{number}.paths"

    def put(self, number: int, part: int, data: bytes) -> None:
        self._write(self._answer(number) / str(part), data)

    def end(self, number: int, end: End) -> None:
        self._write(self._answer(number) / "end", json.dumps({"parts": end.parts, "error": end.error}).encode())

    def ended(self, number: int) -> End | None:
        """None while the answer goes on."""
        try:
            said = json.loads((self._answer(number) / "end").read_bytes())
        except FileNotFoundError:
            return None
        return End(said["parts"], said["error"])

    def take(self, number: int, part: int) -> bytes | None:
        """The part, once; None while it is not there."""
        path = self._answer(number) / str(part)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        path.unlink()
        return data

    def unread(self, number: int) -> int:
        """How many parts wait."""
        return sum(1 for _ in self._answer(number).iterdir())

    def touch(self) -> None:
        """The agent was heard."""
        os.utime(self.folder / "alive")

    def heard(self) -> int:
        """When, in nanoseconds of the file system's clock."""
        return (self.folder / "alive").stat().st_mtime_ns

    def _answer(self, number: int) -> Path:
        return self.folder / "parts" / str(number)

    def _write(self, path: Path, data: bytes) -> None:
        partial = path.with_name(f".{path.name}.partial")
        partial.write_bytes(data)
        partial.rename(path)
