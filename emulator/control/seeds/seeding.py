"""A seed while it is being sown: in a thread of its own, one at a time; health asks how far it is."""

from __future__ import annotations

import logging
import threading
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emulator.errors import Conflict
from scanner.errors import ForgeletError, StepFailed

if TYPE_CHECKING:
    from emulator.control.seeds.wanted import Seed
    from emulator.service import Service

log = logging.getLogger("forgelet.seeds")
SOWING, DONE, FAILED = "seeding", "done", "failed"


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


class Seeding:
    """The last seed that was asked for."""

    def __init__(self, here: Service) -> None:
        self._here = here
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self.last: Sown | None = None

    @property
    def ready(self) -> bool:
        """Whether nothing is left to make; a seed that failed is not."""
        return self.last is None or self.last.state == DONE

    def told(self) -> dict[str, Any] | None:
        """The last seed and how far it is."""
        return asdict(self.last) if self.last is not None else None

    def begin(self, name: str, seed: Seed, base: Path) -> None:
        """Sow. Returns at once. Raises `Conflict` while another is being sown."""
        with self._lock:
            if self.last is not None and self.last.state == SOWING:
                raise Conflict(f"the seed '{self.last.name}' is being sown", hint="wait until GET /_forgelet/health is ready")
            self.last = Sown(name)
            self._thread = threading.Thread(target=self._sow, args=(self.last, seed, base), name="seeding", daemon=True)
            self._thread.start()

    def wait(self) -> dict[str, Any]:
        """Until it is over. Raises `StepFailed` when it failed."""
        if self._thread is not None:
            self._thread.join()
        assert self.last is not None
        if self.last.state == FAILED:
            raise StepFailed(f"seed '{self.last.name}' stopped at {self.last.step}: {self.last.error}", hint=self.last.hint)
        return asdict(self.last)

    def _sow(self, sown: Sown, seed: Seed, base: Path) -> None:
        from emulator.control.seeds.sow import steps

        try:
            self._here.authenticator.wait()
            for sown.step, deed in steps(self._here, seed, base):
                (sown.made if deed() else sown.there).append(sown.step)
            sown.step, sown.state = "", DONE
        except ForgeletError as error:
            problems = "; ".join(getattr(error, "problems", ()))
            sown.error, sown.hint, sown.state = f"{error.message}{': ' if problems else ''}{problems}", error.hint, FAILED
        except Exception as error:
            log.exception("seed '%s' stopped at %s", sown.name, sown.step)
            sown.error, sown.hint, sown.state = f"an internal fault ({type(error).__name__})", "the service's log has the whole story", FAILED
