"""/_forgelet/clock and /_forgelet/ids: time that is set, numbers that are seeded. For administrators."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from emulator.service import TheAdmin
from emulator.storage import stamp
from emulator.wire.answer import nothing, ours
from scanner.errors import UserError
from scanner.host import chance, clock

router = APIRouter()
FASTEST = 100_000
FIRST, LAST = datetime(1980, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
"""Between these times are what file systems and clients take."""


class ClockRequest(BaseModel):
    """The time that it shall be (now unless given), and how fast it passes: 0 stands still, 60 is a minute a second."""

    model_config = ConfigDict(extra="forbid")

    at: AwareDatetime | None = None
    rate: float = Field(default=1, ge=0, le=FASTEST)


class StepRequest(BaseModel):
    """So many seconds further."""

    model_config = ConfigDict(extra="forbid")

    seconds: Annotated[float, Field(gt=0, le=10 * 366 * 86400)]


class IdsRequest(BaseModel):
    """The seed of the numbers that are drawn."""

    model_config = ConfigDict(extra="forbid")

    seed: str | int


@router.get("/clock")
def show(_asking: TheAdmin) -> Response:
    """What time it is for the service, and for the machine."""
    return ours("clock", _told())


@router.put("/clock")
def put(asked: ClockRequest, _asking: TheAdmin) -> Response:
    """Set the time. All processes of the service follow; the machine's own clock is not touched."""
    _set(asked.at or clock.now(), asked.rate)
    return ours("clock", _told())


@router.post("/clock/step")
def step(asked: StepRequest, _asking: TheAdmin) -> Response:
    """Put the time forward, at once; it passes as fast as before."""
    found = clock.setting()
    _set(datetime.fromtimestamp(clock.now().timestamp() + asked.seconds, UTC), 1 if found is None else found.rate)
    return ours("clock", _told())


@router.delete("/clock")
def delete(_asking: TheAdmin) -> Response:
    """The machine's time again."""
    clock.put(None)
    return nothing()


def _set(at: datetime, rate: float) -> None:
    if not FIRST <= at <= LAST:
        raise UserError(f"the clock cannot be set to {at.isoformat()}", hint=f"between {FIRST.year} and {LAST.year}")
    clock.put(clock.Setting(time.time(), at.timestamp(), rate))


def _told() -> dict[str, Any]:
    found = clock.setting()
    return {"now": stamp.now(), "real": stamp.of(clock.real()), "rate": 1.0 if found is None else found.rate, "set": found is not None}


@router.get("/ids")
def ids(_asking: TheAdmin) -> Response:
    """The seed of the numbers that are drawn, and how many were."""
    return ours("ids", _drawn())


@router.put("/ids")
def seed_ids(asked: IdsRequest, _asking: TheAdmin) -> Response:
    """Numbers that are drawn (of deployments, of images and instances in the local cloud) are the same after the same seed. Secrets are not."""
    chance.seed(str(asked.seed))
    return ours("ids", _drawn())


@router.delete("/ids")
def random_ids(_asking: TheAdmin) -> Response:
    """Draw at random again."""
    chance.seed(None)
    return nothing()


def _drawn() -> dict[str, Any]:
    found = chance.seeded()
    return {"seed": found[0] if found else None, "drawn": found[1] if found else 0}
