"""A seed while it is being sown: in a thread of its own, one at a time; health asks how far it is."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emulator.errors import Conflict
from scanner.errors import Cancelled, ForgeletError, StepFailed

if TYPE_CHECKING:
    from emulator.control.seeds.wanted import Seed
    from emulator.service import Service

log = logging.getLogger("forgelet.seeds")
SOWING, DONE, FAILED, ENDED = "seeding", "done", "failed", "ended"


@dataclass(slots=True)
class Sown:
    """How far a seed is."""

    name: str
    state: str = SOWING
    step: str = ""
    """What is being made, or what failed."""
    made: list[str] = field(default_factory=list)
    there: list[str] = field(default_factory=list)
    """What was there already."""
    error: str = ""
    hint: str = ""
    thread: threading.Thread = field(init=False, repr=False)
    unwanted: threading.Event = field(default_factory=threading.Event, repr=False)
    """Set when the service is emptied meanwhile."""

    def told(self) -> dict[str, Any]:
        return {key: getattr(self, key) for key in ("name", "state", "step", "made", "there", "error", "hint")}

    def check(self) -> None:
        """Raises `Cancelled` when nobody wants it any more."""
        if self.unwanted.is_set():
            raise Cancelled("the service was emptied meanwhile")

    def wait(self) -> dict[str, Any]:
        """How it ended, when it is over. Raises `StepFailed` when it failed, `Conflict` when the service was emptied meanwhile."""
        self.thread.join()
        if self.state == FAILED:
            raise StepFailed(f"seed '{self.name}' stopped at {self.step}: {self.error}", hint=self.hint)
        if self.state == ENDED:
            raise Conflict(f"seed '{self.name}' was ended at {self.step}: a reset, or a snapshot that was loaded, took its place", hint="apply it again")
        return self.told()


class Seeding:
    """The last seed that was asked for."""

    def __init__(self, here: Service) -> None:
        self._here = here
        self._lock = threading.RLock()
        self.last: Sown | None = None

    @property
    def ready(self) -> bool:
        """Whether nothing is left to make; a seed that failed is not."""
        return self.last is None or self.last.state == DONE

    def told(self) -> dict[str, Any] | None:
        """The last seed and how far it is."""
        last = self.last
        return last.told() if last is not None else None

    def begin(self, name: str, seed: Seed, base: Path) -> Sown:
        """Sow. Returns at once. Raises `Conflict` while another is being sown."""
        with self.still():
            sown = self.last = Sown(name)
            sown.thread = threading.Thread(target=self._sow, args=(sown, seed, base), name="seeding", daemon=True)
            sown.thread.start()
        return sown

    @contextmanager
    def still(self) -> Iterator[None]:
        """While the block runs no seed begins. Raises `Conflict` while one is being sown."""
        with self._lock:
            if self.last is not None and self.last.state == SOWING:
                raise Conflict(f"the seed '{self.last.name}' is being sown", hint="wait until GET /_forgelet/health is ready")
            yield

    @contextmanager
    def halted(self) -> Iterator[None]:
        """The seed that is being sown is ended and forgotten, and while the block runs none begins but those of the caller."""
        with self._lock:
            if self.last is not None:
                self.last.unwanted.set()
                self.last.thread.join()
                self.last = None
            yield

    def _sow(self, sown: Sown, seed: Seed, base: Path) -> None:
        from emulator.control.seeds.sow import steps

        try:
            self._here.authenticator.wait()
            check = sown.check
            for sown.step, deed in steps(self._here, seed, base, check):
                check()
                (sown.made if deed() else sown.there).append(sown.step)
            sown.step, sown.state = "", DONE
        except Cancelled:
            sown.state = ENDED
        except ForgeletError as error:
            problems = "; ".join(getattr(error, "problems", ()))
            sown.error, sown.hint, sown.state = f"{error.message}{': ' if problems else ''}{problems}", error.hint, FAILED
        except Exception as error:
            log.exception("seed '%s' stopped at %s", sown.name, sown.step)
            sown.error, sown.hint, sown.state = f"an internal fault ({type(error).__name__})", "the service's log has the whole story", FAILED
