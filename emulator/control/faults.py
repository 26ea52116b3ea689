"""Faults on purpose: deterministic ("the next N times"), at the named stages of jobs only."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence

from sqlmodel import col, delete, select

from emulator.control.tables import Fault
from emulator.errors import FaultSet
from emulator.jobs.stages import known
from emulator.storage.engine import Database
from scanner.errors import UserError
from scanner.host import clock

ACTIONS = ("fail", "hang", "kill")


def ask(database: Database, stage: str, action: str, times: int) -> Fault:
    """From now on, `times` times. Raises `UserError` for a stage or action that is none."""
    if action not in ACTIONS:
        raise UserError(f"there is no action '{action}'", hint="one of " + ", ".join(ACTIONS))
    fault = Fault(stage=known(stage), action=action, times=times)
    with database.write() as session:
        session.add(fault)
    return fault


def asked(database: Database) -> Sequence[Fault]:
    """Those that can still happen."""
    with database.read() as session:
        return session.exec(select(Fault).where(Fault.times > 0).order_by(col(Fault.id))).all()


def forget(database: Database) -> None:
    """No faults from now on."""
    with database.write() as session:
        session.exec(delete(Fault))


def take(database: Database, stage: str) -> str | None:
    """The action that was asked for `stage`, counted as having happened; None where none was."""
    with database.read() as session:
        waiting = select(Fault).where(Fault.stage == stage, Fault.times > 0).order_by(col(Fault.id))
        if session.exec(waiting).first() is None:
            return None
    with database.write() as session:
        fault = session.exec(waiting).first()
        if fault is None:
            return None
        fault.times -= 1
        return fault.action


def meet(action: str | None, stage: str, listen: Callable[[], None]) -> None:
    """The action happens now: `FaultSet` is raised, the process is killed, or nothing moves until `listen` raises."""
    if action == "fail":
        raise FaultSet(f"a fault was set at stage {stage}", hint="forgelet reset, or DELETE /_forgelet/faults, takes faults away")
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    while action == "hang":
        listen()
        clock.sleep(0.1)
