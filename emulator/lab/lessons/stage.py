"""Putting a lesson's live systems up, changing them as it says, and taking them away."""

from __future__ import annotations

import random
import secrets
from pathlib import Path

from emulator.lab.container import find_container
from emulator.lab.drift.generate import drift
from emulator.lab.drift.kinds import KINDS
from emulator.lab.drift.shell import shell_of
from emulator.lab.engine import docker_engine
from emulator.lab.lab import lab_down, lab_up
from emulator.lab.lessons import state
from emulator.lab.lessons.lesson import Lesson, Stage, lessons
from emulator.lab.lessons.state import Begun
from emulator.storage import stamp
from scanner.errors import NotFound, StepFailed, UserError
from scanner.host.mirrors import Mirrors
from scanner.progress import Progress

TIME = ("mtime",)
FOUND_OUT = frozenset(KINDS) - {"mtime", "folder-mtime", "link-mtime"}
"""What a learner can be asked to find: two machines that were set up alike differ in times anyway."""
WORDS = ("harbour", "lantern", "meadow", "pepper", "quarry", "ribbon", "saddle", "timber", "velvet", "willow")


def begin(lesson: Lesson, data: Path, mirrors: Mirrors, work: Path, progress: Progress) -> Begun:
    """The lesson from its begin: fresh live systems, a new word. Raises as `lab_up`; `UserError` when another lesson has its live systems."""
    _alone(lesson, data)
    take_down(lesson)
    word = f"{secrets.choice(WORDS)}-{secrets.randbelow(900) + 100}"
    drifted: list[str] = []
    for stage in lesson.stages:
        lab_up(stage.system, mirrors, work, progress, name=stage.name)
        if stage.prepare:
            progress.stage("prepare", f"preparing {stage.name}")
            _inside(stage, word)
        if stage.drift:
            progress.stage("drift", f"changing things on {stage.name}")
            told = drift(shell_of(stage.name), stage.name, random.SystemRandom().randrange(1 << 31), stage.drift, kinds=FOUND_OUT)
            drifted += [one.name for one in told.expected() if one.scope == "files" and one.fields != TIME]
    begun = Begun(lesson=lesson.name, since=stamp.now(), word=word, drifted=sorted(drifted))
    state.write(data, begun)
    return begun


def _alone(lesson: Lesson, data: Path) -> None:
    names = {stage.name for stage in lesson.stages}
    for other in lessons().values():
        if other.name != lesson.name and names & {stage.name for stage in other.stages} and state.read(data, other.name):
            raise UserError(f"the lesson '{other.name}' is up and has the same live systems", hint=f"forgelet lab down {other.name}")


def take_down(lesson: Lesson) -> int:
    """Remove the lesson's live systems; how many there were. Their images stay."""
    gone = 0
    for stage in lesson.stages:
        try:
            lab_down(stage.name)
            gone += 1
        except NotFound:
            continue
    return gone


def _inside(stage: Stage, word: str) -> None:
    with docker_engine() as engine:
        container = find_container(engine, stage.name)
        assert container is not None
        status, output = container.exec_run(["sh", "-ec", stage.prepare], environment={"WORD": word})
        assert isinstance(output, bytes)
        if status:
            raise StepFailed(f"{stage.name} could not be prepared: {output.decode(errors='replace').strip()}", hint="forgelet doctor")


def digest(container: str, path: str) -> str:
    """The SHA-256 of a file of a live system, as it is now; empty when there is none. Raises `Unreachable`."""
    with docker_engine() as engine:
        found = find_container(engine, container)
        if found is None or found.status != "running":
            return ""
        status, output = found.exec_run(["sha256sum", "--", path])
        assert isinstance(output, bytes)
        return output.decode(errors="replace").split(" ")[0] if status == 0 else ""
