"""How time is set and numbers are seeded, as a file of a snapshot: `determinism.json`."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from scanner.errors import UserError
from scanner.host import chance, clock
from scanner.host.clock import Setting

NAME = "determinism.json"


class Determinism(BaseModel):
    """None where it is the machine's time, or numbers are drawn at random."""

    model_config = ConfigDict(extra="forbid")

    clock: Setting | None
    ids: tuple[str, int] | None
    """The seed, and how many numbers were drawn since."""


def write(folder: Path) -> None:
    """As it is now."""
    time = clock.setting()
    found = Determinism(clock=time.later() if time else None, ids=chance.seeded())
    (folder / NAME).write_text(found.model_dump_json(indent=1), encoding="utf-8")


def read(folder: Path) -> Determinism | None:
    """What was saved; None where the snapshot says nothing of it. Raises `UserError`."""
    try:
        return Determinism.model_validate_json((folder / NAME).read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise UserError(f"the snapshot's {NAME} cannot be read: {error.errors()[0]['msg']}", hint="load it with the Forgelet that made it") from error


def put(saved: Determinism) -> None:
    """It is again what time it was then, and goes on from there; the next number is the one that came next then."""
    clock.put(saved.clock.from_now() if saved.clock else None)
    chance.seed(*saved.ids or (None,))
