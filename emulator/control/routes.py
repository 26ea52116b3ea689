"""/_forgelet: capabilities, reset, the cache, faults."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from emulator.control import faults
from emulator.control.reset import reset as empty
from emulator.control.rotation import rotate
from emulator.control.tables import Fault
from emulator.errors import Forbidden
from emulator.resources.users import service as users
from emulator.service import TheAdmin, TheService, TheUser
from emulator.wire.answer import nothing, our_collection, ours

router = APIRouter()


class FaultRequest(BaseModel):
    """What shall happen at a stage."""

    model_config = ConfigDict(extra="forbid")

    stage: str
    action: str
    times: int = Field(default=1, ge=1)


@router.get("/capabilities")
def capabilities(here: TheService) -> Response:
    return ours("capabilities", {"capabilities": here.capabilities.all()})


@router.post("/reset")
def reset(here: TheService, asking: TheUser, cache: bool = False, user: str | None = None) -> Response:
    """Empty everything, or what one user has; users stay, and the build cache unless `cache` is set. Answers what went.

    Without `user` for an administrator only; every user may empty what is his.
    """
    if user is None and not asking.admin:
        raise Forbidden("only an administrator may empty the whole service", hint=f"forgelet reset --of {asking.login} empties what is yours")
    if user not in (None, asking.login) and not asking.admin:
        raise Forbidden(f"what belongs to '{user}' is not yours", hint=f"forgelet reset --of {asking.login}")
    with here.database.read() as session:
        whose = users.find(session, user) if user is not None else None
    return ours("reset", {"removed": empty(here, user=whose, cache=cache)})


@router.get("/reset")
def reaping(here: TheService, _asking: TheUser) -> Response:
    """Whether everything that resets took away has been given back: `pending`, and what was given back, in words."""
    return ours("reset", here.reaping.state())


@router.post("/secrets/rotation")
def rotation(here: TheService, _asking: TheAdmin) -> Response:
    """A new key for the secrets at rest; `resealed`: how many there are."""
    return ours("rotation", {"resealed": rotate(here)})


@router.get("/cache")
def cached(here: TheService, _asking: TheUser) -> Response:
    """What is in the build cache, what was used last first; and how much there may be, in bytes."""
    from builders.cache import entries

    found = entries(here.folders.cache)
    return ours("cache", {"size": sum(one.size for one in found), "limit": here.settings.cache_size * 2**20, "entries": {"entry": [one.told() for one in found]}})


@router.post("/cache/prune")
def prune(here: TheService, _asking: TheAdmin, size: Annotated[int | None, Query(ge=0)] = None) -> Response:
    """Remove what was used longest ago until `size` MiB are left, the setting's unless given; for an administrator. Answers what went."""
    from builders.cache import prune as cut

    gone = cut(here.folders.cache, (here.settings.cache_size if size is None else size) * 2**20)
    return ours("cache", {"removed": {"entry": [one.told() for one in gone]}})


@router.get("/faults")
def index(here: TheService, _asking: TheUser) -> Response:
    return our_collection("faults", "fault", [_tell(fault) for fault in faults.asked(here.database)])


@router.post("/faults")
def create(asked: FaultRequest, here: TheService, _asking: TheUser) -> Response:
    return ours("fault", _tell(faults.ask(here.database, asked.stage, asked.action, asked.times)), 201)


@router.delete("/faults")
def delete(here: TheService, _asking: TheUser) -> Response:
    faults.forget(here.database)
    return nothing()


def _tell(fault: Fault) -> dict[str, Any]:
    return {"dbId": fault.id, "stage": fault.stage, "action": fault.action, "times": fault.times}
