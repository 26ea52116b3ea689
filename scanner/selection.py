"""What the service chose between the phases, on disk: it may be as long as the file table, so it is never all in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from scanner.report import FileEntry, Kind, State

Pick = Callable[[FileEntry], str | None]


class Part:
    """The paths of one archive: `NAME.paths` for the agent (NUL-separated), `NAME.asked` for the check (lines of the file table)."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self.paths = folder / f"{name}.paths"
        self.announced = 0
        self.count = 0
        self._asked = folder / f"{name}.asked"

    def __enter__(self) -> Part:
        self._paths_out = self.paths.open("wb")
        self._asked_out = self._asked.open("wb")
        return self

    def __exit__(self, *_: object) -> None:
        self._paths_out.close()
        self._asked_out.close()

    def add(self, entry: FileEntry) -> None:
        """In walk order."""
        self._paths_out.write(entry.raw + b"\0")
        self._asked_out.write(entry.to_json().encode("ascii") + b"\n")
        # 4 KiB for the headers: names and attributes.
        self.announced += 4096 + (entry.size if entry.type == Kind.FILE else 0)
        self.count += 1

    def asked(self) -> Iterator[FileEntry]:
        """The entries again, in order."""
        with self._asked.open("rb") as lines:
            for line in lines:
                yield FileEntry.from_json(line)

    def remove(self) -> None:
        """Take the files away."""
        self.paths.unlink(missing_ok=True)
        self._asked.unlink(missing_ok=True)


class Selection:
    """The choice: what goes to which archive, and what is deleted."""

    def __init__(self, folder: Path) -> None:
        self.overlay = Part(folder, "overlay")
        self.foreign = Part(folder, "foreign")
        self.deleted: list[str] = []
        self.counts: Counter[str] = Counter()

    def choose(self, files: Iterable[FileEntry], pick: Pick) -> None:
        """Ask `pick` for every path. What is missing can only be a deletion; what is excluded, and sockets, have no contents to bring."""
        with self.overlay, self.foreign:
            for entry in files:
                where = pick(entry)
                if where is None or entry.state == State.EXCLUDED or entry.type == Kind.SOCKET:
                    continue
                self._take(entry, where)
        self.deleted.reverse()

    def _take(self, entry: FileEntry, where: str) -> None:
        if entry.state == State.MISSING:
            self.deleted.append(entry.path)
            self.counts["deleted"] += 1
            return
        {"overlay": self.overlay, "foreign": self.foreign}[where].add(entry)
        self.counts[where] += 1

    def remove(self) -> None:
        """Take the files away."""
        self.overlay.remove()
        self.foreign.remove()
