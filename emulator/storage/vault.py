"""Secrets at rest: encrypted in the database with a key that lies in a file of its own (`secrets.key`, mode 0600).

Fernet (AES-128-CBC with HMAC-SHA256). A copy of the database alone tells no secret.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from scanner.errors import UserError

if TYPE_CHECKING:
    from cryptography.fernet import Fernet


class Vault:
    """Seals and opens texts; the key is made when it is first needed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._fernet: Fernet | None = None

    def seal(self, text: str) -> str:
        """`text`, encrypted: ASCII."""
        return self._open().encrypt(text.encode()).decode("ascii")

    def unseal(self, sealed: str) -> str:
        """Raises `UserError` when it was sealed with another key."""
        from cryptography.fernet import InvalidToken

        try:
            return self._open().decrypt(sealed.encode("ascii")).decode()
        except InvalidToken as error:
            raise UserError(f"a stored secret cannot be read with {self._path}", hint="bring the key file back that belongs to this database") from error

    def _open(self) -> Fernet:
        from cryptography.fernet import Fernet

        with self._lock:
            if self._fernet is None:
                # A link never replaces, so whichever process comes first makes the key; a temporary file has mode 0600 from its start.
                with tempfile.NamedTemporaryFile(dir=self._path.parent) as made, contextlib.suppress(FileExistsError):
                    made.write(Fernet.generate_key())
                    made.flush()
                    os.link(made.name, self._path)
                self._fernet = Fernet(self._path.read_bytes())
            return self._fernet
