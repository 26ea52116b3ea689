"""Faults on purpose, deterministic ("the first N times", "every Nth", "once"): at the named stages of jobs, and at operations of the service."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable, Sequence

from sqlalchemy import ColumnElement
from sqlmodel import Session, col, delete, or_, select

from emulator.control.tables import Fault
from emulator.errors import Dropped, FaultSet, Forbidden
from emulator.jobs.stages import STAGES, known, unreachable
from emulator.storage.engine import Database
from scanner.errors import NotFound, UserError
from scanner.host import clock

ACTIONS = {
    "fail": "it fails, in UForge's own words",
    "drop": "the connection breaks",
    "hang": "nothing moves any more until somebody cancels, or gives up waiting",
    "slow": "it takes `delay` seconds longer",
    "kill": "the job's process is killed",
    "disk-full": "there is no space left on the disk",
}
STAGES_ONLY = frozenset({"kill", "disk-full"})
HINT = "forgelet reset, or DELETE /_forgelet/faults, takes faults away"


def ask(database: Database, fault: Fault) -> Fault:
    """From now on. Raises `UserError` that names every mistake."""
    problems = list(_problems(fault))
    if problems:
        raise UserError("this fault cannot happen", problems=problems, hint="forgelet fault set --help")
    if fault.stage:
        known(fault.stage)
    with database.write() as session:
        session.add(fault)
    return fault


def _problems(fault: Fault) -> list[str]:
    found = []
    if bool(fault.stage) == bool(fault.operation):
        found.append("give a stage or an operation, and not both")
    if fault.action not in ACTIONS:
        found.append(f"action: there is no '{fault.action}'; one of " + ", ".join(ACTIONS))
    if fault.operation and fault.action in STAGES_ONLY:
        found.append(f"action: '{fault.action}' is for stages of jobs")
    if fault.operation and (fault.percent is not None or fault.after is not None):
        found.append("percent and after are for stages of jobs")
    if fault.percent is not None and fault.after is not None:
        found.append("percent, or after, and not both")
    if fault.stage in STAGES:
        found += unreachable(fault.stage, fault.percent, fault.after)
    if fault.action == "slow" and not fault.delay:
        found.append("delay: how many seconds slower?")
    return found


def meets(user_id: int) -> ColumnElement[bool]:
    """Those that happen to a user: his own, and everybody's."""
    return or_(col(Fault.user_id) == user_id, col(Fault.user_id).is_(None))


def asked(database: Database, user_id: int | None = None, *, spent: bool = False) -> Sequence[Fault]:
    """Those that can still happen, to that user when one is given; with `spent`, those that cannot any more too."""
    with database.read() as session:
        every = select(Fault).order_by(col(Fault.id))
        found = session.exec(every if user_id is None else every.where(meets(user_id))).all()
    return [one for one in found if spent or one.waiting]


def find(database: Database, number: int, user_id: int | None = None) -> Fault:
    """One that happens to that user, when one is given. Raises `NotFound`."""
    with database.read() as session:
        found = session.get(Fault, number)
    if found is None or (user_id is not None and found.user_id not in (None, user_id)):
        raise NotFound(f"there is no fault {number}", hint="forgelet fault list")
    return found


def forget(database: Database, number: int | None = None, user_id: int | None = None) -> None:
    """No faults from now on, or not that one; of one user when he is given. Raises `NotFound`, `Forbidden` for one that is everybody's."""
    if number is not None and find(database, number, user_id).user_id != user_id and user_id is not None:
        raise Forbidden(f"fault {number} happens to everybody: an administrator set it", hint="only an administrator may take it away")
    gone = delete(Fault)
    gone = gone if number is None else gone.where(col(Fault.id) == number)
    with database.write() as session:
        session.exec(gone if user_id is None else gone.where(col(Fault.user_id) == user_id))


def armed(database: Database, stage: str, user_id: int) -> list[Fault]:
    """Those that wait for a point within the stage of a user's job: a percentage, or a number of bytes."""
    with database.read() as session:
        later = or_(col(Fault.percent).is_not(None), col(Fault.after).is_not(None))
        return [one for one in session.exec(select(Fault).where(Fault.stage == stage, later, meets(user_id))).all() if one.waiting]


def take_at(database: Database, stage: str, user_id: int) -> Fault | None:
    """What happens at the begin of the stage of a user's job, counted as having happened; None where nothing does."""
    with database.read() as session:
        here = select(Fault.id).where(Fault.stage == stage, col(Fault.percent).is_(None), col(Fault.after).is_(None), meets(user_id))
        numbers = session.exec(here.order_by(col(Fault.id))).all()
    return take(database, [number for number in numbers if number is not None])


def take(database: Database, numbers: Sequence[int]) -> Fault | None:
    """Somebody came to the point of these faults: each counts that, and the first that is due happens."""
    if not numbers:
        return None
    with database.write() as session:
        return _first(session, numbers)


def _first(session: Session, numbers: Sequence[int]) -> Fault | None:
    happening = None
    for fault in session.exec(select(Fault).where(col(Fault.id).in_(numbers)).order_by(col(Fault.id))).all():
        if not fault.waiting:
            continue
        fault.met += 1
        if happening is None and fault.due:
            happening = fault
            fault.hits += 1
    return happening


def meet(fault: Fault | None, listen: Callable[[], None]) -> None:
    """The fault happens now, in a job: it raises what it is about, or kills the process, or nothing moves until `listen` raises."""
    if fault is None:
        return
    until = clock.monotonic() + fault.delay
    while fault.action == "hang" or clock.monotonic() < until:
        listen()
        clock.sleep(min(0.1, fault.delay or 0.1))
    if fault.action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if fault.action == "disk-full":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if fault.action == "drop":
        raise Dropped(fault.message or f"a fault was set at {_point(fault)}: the connection is gone", hint=HINT)
    if fault.action == "fail":
        raise FaultSet(fault.message or f"a fault was set at {_point(fault)}", hint=HINT)


def _point(fault: Fault) -> str:
    if fault.percent is not None:
        return f"{fault.percent} % in stage {fault.stage}"
    return f"stage {fault.stage}" if fault.after is None else f"byte {fault.after} of stage {fault.stage}"
