"""/_forgelet/faults: what goes wrong on purpose."""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import APIRouter, Response
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from sqlmodel import select

from emulator.control import faults
from emulator.control.tables import Fault
from emulator.jobs.stages import STAGES
from emulator.resources.users.tables import User
from emulator.service import Service, TheService, TheUser
from emulator.wire.answer import nothing, our_collection, ours

router = APIRouter(prefix="/faults")
UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30}


def _bytes(value: Any) -> Any:
    """`10 MB` as a number of bytes."""
    found = re.fullmatch(r"\s*(\d+)\s*([A-Za-z]*)\s*", value) if isinstance(value, str) else None
    return int(found[1]) * UNITS[found[2].upper()] if found and found[2].upper() in UNITS else value


class FaultRequest(BaseModel):
    """What shall happen, where, and when. `stage` or `operation` is needed."""

    model_config = ConfigDict(extra="forbid")

    stage: str = ""
    """`build.last-pass`"""
    operation: str = ""
    """A number of UForge's calls, a name such as `images.index`, or a method and a path template."""
    action: str = "fail"
    times: Annotated[int, Field(ge=1)] | None = None
    """How often in all; unless given once, and with `every` always."""
    always: bool = False
    every: int = Field(default=1, ge=1)
    skip: int = Field(default=0, ge=0)
    percent: Annotated[int, Field(ge=0, le=100)] | None = None
    after: Annotated[int, Field(ge=0, lt=1 << 63), BeforeValidator(_bytes)] | None = None
    """Bytes: a number, or `10 MB`."""
    status: int = Field(default=500, ge=400, le=599)
    message: str = Field(default="", max_length=2000)
    delay: float = Field(default=0, ge=0, le=3600)

    def fault(self, operation: str, asking: User) -> Fault:
        """As it is kept: an administrator's happens to everybody, another's to himself."""
        once = None if self.always else self.times or (None if "every" in self.model_fields_set else 1)
        kept = self.model_dump(exclude={"always", "times", "operation"})
        return Fault(**kept, operation=operation, times=once, user_id=_whose(asking))


def _whose(asking: User) -> int | None:
    """Whose faults one may see and take away; None: everybody's."""
    return None if asking.admin else asking.id


@router.get("")
def index(here: TheService, asking: TheUser, spent: bool = False) -> Response:
    """Those that can still happen to who asks, or to anybody for an administrator; with `spent` also those that cannot any more."""
    return our_collection("faults", "fault", [tell(fault, names(here)) for fault in faults.asked(here.database, _whose(asking), spent=spent)])


@router.get("/points")
def points(_asking: TheUser) -> Response:
    """Where faults can be set: the stages of jobs, how far a job comes `within` each, and the operations."""
    from emulator.routing import operations

    found = [{"name": one.name, "operation": one.text, "numbers": list(one.numbers)} for one in operations().all]
    within = {name: {"percent": reach.percent, "bytes": reach.moves} for name, reach in STAGES.items()}
    return ours("points", {"stages": list(STAGES), "within": within, "actions": faults.ACTIONS, "operations": found})


@router.post("")
def create(asked: FaultRequest, here: TheService, asking: TheUser) -> Response:
    """It happens to whoever sets it, an administrator's to everybody. A name that several routes have makes one fault at all of them, with one count."""
    from emulator.routing import operations

    named = operations().named(asked.operation) if asked.operation else []
    made = faults.ask(here.database, asked.fault("; ".join(one.text for one in named), asking))
    here.interferences.changed()
    return ours("fault", tell(made, names(here)), 201)


@router.get("/{number}")
def show(number: int, here: TheService, asking: TheUser) -> Response:
    """One fault, with how often it was met and how often it happened."""
    return ours("fault", tell(faults.find(here.database, number, _whose(asking)), names(here)))


@router.delete("/{number}")
def delete(number: int, here: TheService, asking: TheUser) -> Response:
    """Take a fault away: one's own, or anybody's for an administrator."""
    faults.forget(here.database, number, _whose(asking))
    here.interferences.changed()
    return nothing()


@router.delete("")
def delete_all(here: TheService, asking: TheUser) -> Response:
    """Take away every fault of one's own, or everybody's for an administrator."""
    faults.forget(here.database, user_id=_whose(asking))
    here.interferences.changed()
    return nothing()


def names(here: Service) -> dict[int | None, str]:
    """Login of each user by his number."""
    with here.database.read() as session:
        return dict(session.exec(select(User.id, User.login)).all())


def tell(fault: Fault, logins: dict[int | None, str]) -> dict[str, Any]:
    """`user`: to whom it happens, None: to everybody. `left`: how often it still happens, None: always."""
    told = fault.model_dump(exclude={"id", "user_id"})
    left = None if fault.times is None else fault.times - fault.hits
    return {"dbId": fault.id, "user": logins.get(fault.user_id), **told, "left": left}
