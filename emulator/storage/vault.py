"""Secrets at rest: encrypted in the database with a key that lies in a file of its own (`secrets.key`, mode 0600).

Fernet (AES-128-CBC with HMAC-SHA256). A copy of the database alone tells no secret.

The file holds one key a line: the first seals, all open. While keys are changed it holds two, so a service that is killed then, at
whatever moment, still opens everything. Whoever seals does so inside the transaction that stores what was sealed: then whatever was
sealed with an old key is in the database before `rotate` reads it.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from scanner.errors import UserError

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

Again = Callable[[str], str]
"""A sealed text -> the same, sealed with the new key."""


class Vault:
    """Seals and opens texts; the key is made when it is first needed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        # Not `_lock`: whoever waits for the database meanwhile may have to seal.
        self._rotating = threading.Lock()
        self._keys: MultiFernet | None = None

    def seal(self, text: str) -> str:
        """`text`, encrypted: ASCII."""
        return self._open().encrypt(text.encode()).decode("ascii")

    def unseal(self, sealed: str) -> str:
        """Raises `UserError` when it was sealed with another key."""
        return self._with_the_keys(lambda keys: keys.decrypt(sealed.encode("ascii"))).decode()

    def rotate(self, reseal: Callable[[Again], int]) -> int:
        """Change the key: `reseal` gives every sealed text to the function that it gets, and keeps what comes back, in one transaction.

        Answers what `reseal` answers. Whenever it breaks off both keys stay, so everything can still be opened, and the next rotation
        finishes. Raises `UserError` when something cannot be opened.
        """
        from cryptography.fernet import Fernet

        with self._rotating:
            self._open()
            new, old = Fernet.generate_key(), self._read()
            self._write([new, *old])
            changed = reseal(self._again)
            self._write([new])
            return changed

    @contextlib.contextmanager
    def adopting(self, keys: bytes) -> Iterator[None]:
        """While the block brings a database with secrets of other keys, both open; after it only the others'. Raises `UserError`.

        When the block breaks off, both stay.
        """
        with self._rotating:
            self._open()
            new = keys.split()
            self._fernets(new)
            self._write([*new, *self._read()])
            yield
            self._write(new)

    def keys(self) -> bytes:
        """What opens the secrets, as its file has it; empty when there was none to keep so far."""
        with self._rotating:
            return b"\n".join(self._read()) + b"\n" if self._path.exists() else b""

    def _again(self, sealed: str) -> str:
        return self.seal(self.unseal(sealed))

    def _with_the_keys(self, task: Callable[[MultiFernet], bytes]) -> bytes:
        """Another process may have changed the keys since they were read."""
        from cryptography.fernet import InvalidToken

        try:
            return task(self._open())
        except InvalidToken:
            with self._lock:
                self._keys = None
        try:
            return task(self._open())
        except InvalidToken as error:
            raise UserError(f"a stored secret cannot be read with {self._path}", hint="bring the key file back that belongs to this database") from error

    def _open(self) -> MultiFernet:
        with self._lock:
            if self._keys is None:
                self._make()
                self._keys = self._fernets(self._read())
            return self._keys

    def _make(self) -> None:
        """A link never replaces, so whichever process comes first makes the key; a temporary file has mode 0600 from its start."""
        from cryptography.fernet import Fernet

        if self._path.exists():
            return
        with tempfile.NamedTemporaryFile(dir=self._path.parent) as made, contextlib.suppress(FileExistsError):
            made.write(Fernet.generate_key())
            made.flush()
            os.fsync(made.fileno())
            os.link(made.name, self._path)

    def _read(self) -> list[bytes]:
        """Raises `UserError` when others may read the file, or it is none."""
        if self._path.stat().st_mode & 0o077:
            raise UserError(f"{self._path} can be read by others than its owner, and it opens every stored secret", hint=f"chmod 600 {self._path}; then forgelet account rotate-key")
        keys = self._path.read_bytes().split()
        self._fernets(keys)
        return keys

    def _fernets(self, keys: Sequence[bytes]) -> MultiFernet:
        from cryptography.fernet import Fernet, MultiFernet

        try:
            return MultiFernet([Fernet(key) for key in keys])
        except ValueError as error:
            raise UserError(f"{self._path} is no key file", hint="bring the key file back that belongs to this database") from error

    def _write(self, keys: Sequence[bytes]) -> None:
        """In one move, and on the disk before anything relies on it."""
        with tempfile.NamedTemporaryFile(dir=self._path.parent, prefix=".secrets-", delete=False) as made:
            made.write(b"\n".join(keys) + b"\n")
            made.flush()
            os.fsync(made.fileno())
        with self._lock:
            Path(made.name).rename(self._path)
            self._keys = self._fernets(keys)
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
