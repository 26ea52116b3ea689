"""A file that comes from the service: continued where it broke off, checked before it has its name.

What came so far is `NAME.partial`; `NAME.partial.tag` beside it has the service's tag of the contents, so that the rest of another file is
never put behind it. The whole is held against the digest that the service tells (`Repr-Digest`, RFC 9530).
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cli.errors import FAILED, UNREACHABLE, CommandError

if TYPE_CHECKING:
    import httpx

ALGORITHMS = {"sha-256": "sha256", "sha-512": "sha512"}
Ask = Callable[[dict[str, str]], "AbstractContextManager[httpx.Response]"]
"""Headers of the request -> the answer, as a stream."""


@dataclass(frozen=True, slots=True)
class Download:
    """One file on its way to `into`."""

    into: Path

    @property
    def partial(self) -> Path:
        return self.into.with_name(f"{self.into.name}.partial")

    @property
    def tag(self) -> Path:
        return self.into.with_name(f"{self.into.name}.partial.tag")

    def run(self, ask: Ask) -> Iterator[tuple[int, int]]:
        """Tells bytes done and bytes in all. Raises `CommandError` when it breaks off (what came is kept) and when it is not what the service has
        (nothing is kept)."""
        done, total = 0, 0
        try:
            with ask(self._rest()) as answer:
                done = self._begin(answer)
                total = done + int(answer.headers.get("content-length", 0))
                with self.partial.open("r+b") as out:
                    out.truncate(done)
                    out.seek(done)
                    for piece in answer.iter_bytes():
                        done += out.write(piece)
                        yield done, total
                self._check(answer.headers.get("repr-digest", ""))
        except CommandError as error:
            if error.exit_code == UNREACHABLE and total and self.tag.exists():
                raise CommandError(f"{self.into.name} broke off after {done} of {total} bytes: {error.message}", hint="the same command goes on from there", exit_code=UNREACHABLE) from error
            raise
        self.partial.rename(self.into)
        self.tag.unlink(missing_ok=True)

    def _rest(self) -> dict[str, str]:
        # The last byte again: so there is always something to ask for.
        have = self.partial.stat().st_size - 1 if self.partial.exists() and self.tag.exists() else 0
        return {"Accept-Encoding": "identity", **({"Range": f"bytes={have}-", "If-Range": self.tag.read_text(encoding="ascii")} if have > 0 else {})}

    def _begin(self, answer: httpx.Response) -> int:
        """How much of the file there is before what comes now."""
        if answer.status_code == 206:
            begin = re.match(r"bytes (\d+)-", answer.headers.get("content-range", ""))
            if begin is None or int(begin[1]) > self.partial.stat().st_size:
                raise CommandError("the service sent another part than it was asked for", hint="the same command again", exit_code=FAILED)
            return int(begin[1])
        tag = answer.headers.get("etag", "")
        self.tag.unlink(missing_ok=True)
        with self.partial.open("wb"):
            pass
        if tag and not tag.startswith("W/"):
            self.tag.write_text(tag, encoding="ascii")
        return 0

    def _check(self, told: str) -> None:
        for name, value in re.findall(r"([\w-]+)=:([^:]*):", told):
            if name not in ALGORITHMS:
                continue
            with self.partial.open("rb") as whole:
                found = hashlib.file_digest(whole, ALGORITHMS[name]).digest()
            if found != base64.b64decode(value):
                self.partial.unlink()
                self.tag.unlink(missing_ok=True)
                said = f"what came has the {ALGORITHMS[name]} {found.hex()}, the service's file another; nothing was kept"
                raise CommandError(said, hint="the same command begins anew", exit_code=FAILED)
