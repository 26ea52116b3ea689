"""`forgelet lab` for lessons: `check`, `hint`, `reset`; and what `up`, `down` and `list` do for them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import render
from cli.client import Client
from cli.context import client
from cli.errors import DIFFERENT, USER, CommandError
from cli.render import Format, Output, as_json, say, table, warn
from emulator import local

if TYPE_CHECKING:
    from emulator.lab.lessons.lesson import Lesson
    from emulator.lab.lessons.state import Begun

Name = Annotated[str, typer.Argument(help="A lesson; `lab list` names them.")]


class Service:
    """What a check sees: the service as the learner's own client does, and this machine's live systems."""

    def __init__(self, service: Client) -> None:
        self._service = service

    def get(self, path: str) -> Any:
        try:
            return self._service.get(path)
        except CommandError as error:
            if error.exit_code != USER:
                raise
            return None

    def rehearse(self, scan: dict[str, Any], text: str) -> list[dict[str, Any]]:
        asked = {"fileName": "lesson.yml", "text": text}
        found: list[dict[str, Any]] = self._service.post(f"{_below(scan)}/rehearsals", asked, patient=True)["rehearsals"]["rehearsal"]
        return found

    def seen(self, scan: dict[str, Any], path: str) -> str:
        rows = map(json.loads, self._service.lines(f"{_below(scan)}/files", state="unmanaged"))
        return next((str(one["sha256"]) for one in rows if one["path"] == path), "")

    def digest(self, container: str, path: str) -> str:
        return local.lesson_digest(container, path)


def _below(scan: dict[str, Any]) -> str:
    return str(scan["uri"]).split("/", 2)[2]


def is_lesson(name: str) -> bool:
    return any(one.name == name for one, _ in local.lessons())


def begin(name: str, output: Format) -> None:
    """Put a lesson up, and tell its task."""
    begun = local.lesson_begin(name, lambda line: (warn if output is Format.JSON else say)(f"... {line}"))
    found, _ = local.lesson(name)
    if output is Format.JSON:
        as_json(told(found, begun))
        return
    say(f"OK: the lesson '{name}' is up: {', '.join(stage.name for stage in found.stages)}")
    say(f"\n{found.title} (about {found.minutes} minutes)\n\n{found.task}")
    say(f"\nits word: {begun.word}\nguide: forgelet lab guide {name}\nstuck:  forgelet lab hint {name}\ndone:   forgelet lab check {name}")


def shown() -> list[tuple[str, str, str]]:
    """Rows for `lab list`."""
    return [(one.name, f"up since {begun.since}" if begun else "-", f"{one.title} ({one.minutes} minutes)") for one, begun in local.lessons()]


def told(found: Lesson, begun: Begun | None) -> dict[str, Any]:
    """Without what the learner is to find out."""
    up = {"since": begun.since, "word": begun.word} if begun else {"since": None, "word": None}
    systems = [stage.name for stage in found.stages]
    return {"name": found.name, "title": found.title, "minutes": found.minutes, "task": found.task, "systems": systems, "guide": f"forgelet lab guide {found.name}", **up}


def check(
    context: typer.Context,
    name: Name,
    answer: Annotated[list[str] | None, typer.Option(help="What the lesson asks for; may be repeated.")] = None,
    output: Output = Format.TABLE,
) -> None:
    """Look at what was really done, in the service. Exit code 4 while something is missing."""
    found, begun = local.lesson(name)
    if begun is None:
        raise CommandError(f"the lesson '{name}' is not up", hint=f"forgelet lab up {name}")
    if answer and not found.answer:
        raise CommandError(f"the lesson '{name}' asks for no answer", hint=f"forgelet lab check {name}")
    steps = local.lesson_check(begun, Service(client(context)), answer or [])
    done = all(step.done for step in steps)
    if output is Format.JSON:
        as_json({"lesson": name, "done": done, "steps": [{"what": step.what, "done": step.done} for step in steps]})
    else:
        say(table(("Done", "What"), [("X" if step.done else "", step.what) for step in steps], centred=[0]))
        if found.answer and not answer:
            say(f"the answer is {found.answer}: --answer")
        say(f"OK: the lesson '{name}' is done" if done else f"not yet; stuck: forgelet lab hint {name}")
    raise typer.Exit(0 if done else DIFFERENT)


def guide(name: Name, output: Output = Format.TABLE) -> None:
    """Print the guide of a lesson; the same as its page of the documentation."""
    found, _ = local.lesson(name)
    render.told(output, {"lesson": name, "guide": found.guide}, found.guide.rstrip())


def hint(name: Name, output: Output = Format.TABLE) -> None:
    """The next hint of a lesson."""
    found = local.lesson_hint(name)
    render.told(output, {"lesson": name, "hint": found}, found)


def reset(name: Name, output: Output = Format.TABLE) -> None:
    """A lesson from its begin: fresh live systems; what was made before counts no more."""
    if local.lesson(name)[1] is None:
        raise CommandError(f"the lesson '{name}' is not up", hint=f"forgelet lab up {name}")
    begin(name, output)
