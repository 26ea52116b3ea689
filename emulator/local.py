"""What works on this machine with the service down: the one door through which the CLI reaches into the rooms."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emulator.doctor import Diagnosis
    from emulator.lab.lab import LiveSystem
    from emulator.lab.lessons.checks import Look, Step
    from emulator.lab.lessons.lesson import Lesson
    from emulator.lab.lessons.state import Begun
    from emulator.settings import Settings


def load(**overrides: Any) -> Settings:
    """The settings in force, for the client's side too. Raises `UserError`."""
    from emulator.settings import load

    return load(**overrides)


def serve(say: Callable[[str], None], *, host: str | None = None, port: int | None = None, data: Path | None = None, tls: bool | None = None, seed: str = "") -> None:
    """Serve in this process until told to end. Raises as `emulator.serve.serve`."""
    # Start-up makes many objects and no garbage: collecting meanwhile costs a fifth of it. Serving turns it on again.
    gc.disable()
    # pydantic would look through every installed distribution for plugins; there are none of ours.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    try:
        from emulator.serve import serve

        serve(load(host=host, port=port, data=data, tls=tls), say, seed)
    finally:
        gc.enable()


class _Teller:
    """Progress of a local task, told line by line to `say`."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say

    def stage(self, name: str, message: str = "") -> None:
        self._say(message or name)

    def update(self, percent: int, message: str = "") -> None:
        pass

    def moved(self, count: int) -> None:
        pass

    def log(self, line: str) -> None:
        pass


def lab_up(system: str, say: Callable[[str], None], *, name: str = "") -> LiveSystem:
    """Put up a live system, in the container `name`; `say` hears what is being done. Raises as `emulator.lab.lab.lab_up`."""
    from emulator.folders import Folders
    from emulator.lab.lab import lab_up
    from scanner.host.mirrors import debian_mirrors

    settings = load()
    mirrors = debian_mirrors(environ={**os.environ, **settings.environment()})
    folders = Folders(settings.data)
    folders.make()
    return lab_up(system, mirrors, folders.cache / "lab", _Teller(say), name=name)


def lab_client_image(say: Callable[[str], None]) -> str:
    """An image of the Docker engine with the real hammr; its tag. Raises as `emulator.lab.client.client_image`."""
    from emulator.folders import Folders
    from emulator.lab.client import client_image
    from scanner.host.mirrors import debian_mirrors

    settings = load()
    folders = Folders(settings.data)
    folders.make()
    work = folders.cache / "lab"
    work.mkdir(exist_ok=True)
    return client_image(debian_mirrors(environ={**os.environ, **settings.environment()}), work, _Teller(say))


def lab_list() -> list[LiveSystem]:
    """Every live system that was put up or could be. Raises `Unreachable`."""
    from emulator.lab.lab import lab_list

    return lab_list()


def lab_down(name: str, *, image: bool = False) -> None:
    """Take the live system away. Raises as `emulator.lab.lab.lab_down`."""
    from emulator.lab.lab import lab_down

    lab_down(name, image=image)


def lab_drift(target: str, seed: int, count: int) -> dict[str, Any]:
    """Change a live system of the lab at random, and tell exactly how. Raises as `emulator.lab.drift.shell.shell_of`, `StepFailed`."""
    from emulator.lab.drift.generate import drift
    from emulator.lab.drift.shell import shell_of

    return drift(shell_of(target), target, seed, count).told()


def lessons() -> list[tuple[Lesson, Begun | None]]:
    """Every lesson in order, and since when it is up."""
    from emulator.lab.lessons import state
    from emulator.lab.lessons.lesson import lessons

    data = load().data
    return [(one, state.read(data, one.name)) for one in lessons().values()]


def lesson(name: str) -> tuple[Lesson, Begun | None]:
    """One lesson, and since when it is up. Raises `NotFound`."""
    from emulator.lab.lessons import state
    from emulator.lab.lessons.lesson import find_lesson

    return find_lesson(name), state.read(load().data, name)


def lesson_begin(name: str, say: Callable[[str], None]) -> Begun:
    """Put the live systems of a lesson up, from the begin. Raises as `emulator.lab.lessons.stage.begin`."""
    from emulator.folders import Folders
    from emulator.lab.lessons.lesson import find_lesson
    from emulator.lab.lessons.stage import begin
    from scanner.host import clock
    from scanner.host.mirrors import debian_mirrors

    settings, found = load(), find_lesson(name)
    mirrors = debian_mirrors(environ={**os.environ, **settings.environment()})
    folders = Folders(settings.data)
    folders.make()
    # What the service makes later is stamped by its time, which may be set.
    clock.follow(folders.clock)
    return begin(found, settings.data, mirrors, folders.cache / "lab", _Teller(say))


def lesson_end(name: str) -> None:
    """Take the live systems of a lesson away. Raises `NotFound` when it is not up, `Unreachable`."""
    from emulator.lab.lessons import state
    from emulator.lab.lessons.lesson import find_lesson
    from emulator.lab.lessons.stage import take_down
    from scanner.errors import NotFound

    gone = take_down(find_lesson(name))
    if not state.forget(load().data, name) and not gone:
        raise NotFound(f"the lesson '{name}' is not up", hint=f"forgelet lab up {name}")


def lesson_hint(name: str) -> str:
    """The next hint of a lesson; the last one again when there are no more. Raises `NotFound`."""
    from emulator.lab.lessons import state

    found, begun = lesson(name)
    number = min(begun.hints if begun else 0, len(found.hints) - 1)
    if begun:
        state.write(load().data, begun.model_copy(update={"hints": number + 1}))
    return f"{number + 1}/{len(found.hints)}: {found.hints[number]}"


def lesson_check(begun: Begun, look: Look, answers: Sequence[str]) -> list[Step]:
    """What the lesson asks for, and whether it is there. Raises what `look` raises."""
    from emulator.lab.lessons.checks import check

    return check(begun, look, answers)


def lesson_digest(container: str, path: str) -> str:
    """The SHA-256 of a file of a live system, as it is now. Raises `Unreachable`."""
    from emulator.lab.lessons.stage import digest

    return digest(container, path)


def doctor() -> Diagnosis:
    """Examine this machine. Raises nothing but for wrong settings."""
    from emulator.doctor import examine
    from emulator.machine import ThisMachine

    return examine(ThisMachine(), load().data)


def clean(data: Path | None = None, *, keep_cache: bool = False) -> list[str]:
    """Take away what Forgelet made on this machine. Raises as `emulator.clean.clean`."""
    from emulator.clean import clean

    return clean(data or load().data, keep_cache=keep_cache)


def builders_of(text: str, name: str) -> list[str]:
    """The types of the builders of a builder file, in order. Raises `SpecError` with every mistake."""
    from builders.spec import parse

    return [spec.type for spec in parse(text, name)]


def validate_template(text: str, name: str) -> list[str]:
    """Raises `SpecError` with every mistake of a template file; answers what is in it, one line each."""
    from builders.spec import parse
    from builders.stack import parse_stack

    stack = parse_stack(text, name)
    found = [f"template '{stack.name}' {stack.version}: {stack.system.name} {stack.system.version}, {len(stack.system.packages)} packages named"]
    builders = _has_builders(text)
    return [*found, *(f"builder {spec.type}: {spec.disk_size} MiB" for spec in parse(text, name))] if builders else found


def validate_bundle(text: str, name: str) -> list[str]:
    """Raises `SpecError` with every mistake of a bundle file; answers what is in it, one line each."""
    from builders.bundle import parse_bundle

    bundle = parse_bundle(text, name)
    return [f"bundle '{bundle.name}' {bundle.version}: {len(bundle.files)} files named"]


def recheck(bundle: Path, sha256: str = "", *, strict: bool = False) -> dict[str, Any]:
    """Check a bundle of evidence; what it proves (`faithful`, `scopes` …), by what a rule explains as well where it is to be `strict`. Raises `Refuted`, `HostileInput`, FileNotFoundError."""
    import tempfile

    from builders.proof.recheck import recheck

    with tempfile.TemporaryDirectory(prefix="forgelet-") as work:
        return recheck(bundle, Path(work), sha256, strict=strict).told()


def _has_builders(text: str) -> bool:
    import yaml

    return bool((yaml.safe_load(text) or {}).get("builders"))


def docker_host() -> str:
    """Where this machine's Docker engine listens, as its own clients are told; empty when there is no engine."""
    where = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    return where if not where.startswith("unix://") or Path(where.removeprefix("unix://")).exists() else ""
