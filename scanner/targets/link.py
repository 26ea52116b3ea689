"""A connection to a live system: what `SshTarget` needs of it. `sshlink.py` is the real one, `fakelink.py` runs here, for tests."""

from __future__ import annotations

from typing import Protocol


class Pipe(Protocol):
    """A running remote command: its standard input, and its output with standard error mixed in."""

    def send(self, data: bytes) -> None:
        """All of it. Raises OSError or EOFError when nobody takes it."""

    def receive(self, size: int) -> bytes:
        """Up to `size` bytes as soon as there are some; none at the end, also that of a lost connection."""

    def status(self) -> int | None:
        """The exit status, once it has ended; None when the connection was lost before that."""

    def close(self) -> None:
        """No more input; whatever still runs ends by that."""


class Link(Protocol):
    """A connection that is open and logged in."""

    def put(self, data: bytes, folder: str, name: str) -> None:
        """Write a new file into `folder`, for its owner only. Raises `UserError`, `StepFailed`, `Unreachable`."""

    def start(self, command: str) -> Pipe:
        """Run a line of POSIX shell. Raises `Unreachable`."""

    def remove(self, path: str) -> bool:
        """Take the file away, if it is there; whether the connection was still good for that."""

    def close(self) -> None:
        """Hang up."""
