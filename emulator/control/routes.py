"""/_forgelet: capabilities, reset, faults."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from emulator.control import faults
from emulator.control.reset import reset as empty
from emulator.control.tables import Fault
from emulator.service import TheService, TheUser
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
def reset(here: TheService, _asking: TheUser, cache: bool = False) -> Response:
    """Empty everything; users stay, and the build cache unless `cache` is set."""
    empty(here, cache=cache)
    return nothing()


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
