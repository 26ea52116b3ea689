"""Files that are there whole or not at all, also when two write the same one at once."""

from __future__ import annotations

import os
import threading
from pathlib import Path


def write_whole(path: Path, said: str | bytes) -> None:
    """Put bytes, or a text as UTF-8, at `path` in one move; of two writers the last one's stays. Raises OSError, and leaves nothing then."""
    partial = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_native_id()}.partial")
    try:
        partial.write_bytes(said.encode() if isinstance(said, str) else said)
        partial.rename(path)
    finally:
        partial.unlink(missing_ok=True)
