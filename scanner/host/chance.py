"""The one door for numbers that are drawn: random, or the same ones each time when they are seeded. Secrets do not come from here."""

from __future__ import annotations

import fcntl
import hashlib
import json
import uuid
from pathlib import Path

_followed: list[Path] = []


def follow(path: Path) -> None:
    """From now on this process draws as the file says, together with all others that follow it; as long as there is none, at random."""
    _followed[:] = [path]


def seed(value: str | None, drawn: int = 0) -> None:
    """Draw from this seed's row, of which so many were drawn already; None: at random."""
    (path,) = _followed
    if value is None:
        path.unlink(missing_ok=True)
    else:
        path.write_text(json.dumps({"seed": value, "drawn": drawn}), encoding="utf-8")


def seeded() -> tuple[str, int] | None:
    """The seed, and how many were drawn since; None: at random."""
    try:
        told = json.loads(_followed[0].read_bytes())
    except (FileNotFoundError, IndexError):
        return None
    return told["seed"], told["drawn"]


def identifier() -> uuid.UUID:
    """A UUID of version 4."""
    if not _followed or not _followed[0].exists():
        return uuid.uuid4()
    with _followed[0].open("r+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        told = json.load(file)
        told["drawn"] += 1
        file.seek(0)
        file.truncate()
        json.dump(told, file)
    return uuid.UUID(bytes=hashlib.sha256(f"{told['seed']}:{told['drawn']}".encode()).digest()[:16], version=4)
