"""`forgelet lab`: live systems to practise on. Works with the service down."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.commands import lesson
from cli.render import Format, Output, as_json, say, table, told, warn
from emulator import local

if TYPE_CHECKING:
    from emulator.lab.lab import LiveSystem

app = typer.Typer(help="Live systems to practise on, and lessons.", no_args_is_help=True)
app.command()(lesson.check)
app.command()(lesson.guide)
app.command()(lesson.hint)
app.command()(lesson.reset)


@app.command()
def up(
    system: Annotated[str, typer.Argument(help="A live system or a lesson; `lab list` names them.")],
    name: Annotated[str, typer.Option(help="The container's name; as the live system unless given.")] = "",
    output: Output = Format.TABLE,
) -> None:
    """Put a live system up: a running container that looks lived in; or a lesson, with all that it needs."""
    if not name and lesson.is_lesson(system):
        lesson.begin(system, output)
        return
    live = local.lab_up(system, lambda line: (warn if output is Format.JSON else say)(f"... {line}"), name=name)
    if output is Format.JSON:
        as_json(_told(live))
        return
    say(f"OK: {live.name} is up")
    say(f"page: {live.url}")
    say(f"next: forgelet scan run --docker {live.name} --name scanExample --overlay")


@app.command("hammr-image")
def hammr_image(output: Output = Format.TABLE) -> None:
    """Build a container image of Debian 11 with hammr 3.8.13 and its Python 2.7, from packages."""
    tag = local.lab_client_image(lambda line: (warn if output is Format.JSON else say)(f"... {line}"))
    if output is Format.JSON:
        as_json({"image": tag})
        return
    say(f"OK: {tag}")
    say(f"next: docker run --rm -it --network host -v ~/.hammr:/root/.hammr -v \"$PWD:/mnt\" -w /mnt {tag} hammr user info")


@app.command("list")
def list_systems(
    lessons: Annotated[bool, typer.Option("--lessons", help="The lessons only.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """List the live systems, up or not, and the lessons."""
    if lessons and output is Format.JSON:
        as_json([lesson.told(one, begun) for one, begun in local.lessons()])
        return
    systems = [] if lessons else local.lab_list()
    if output is Format.JSON:
        as_json([_told(system) for system in systems])
        return
    rows = [(system.name, system.status, system.url or "-", system.summary) for system in systems]
    if rows:
        say(table(("Name", "Status", "Page", "What it is"), rows))
    say(table(("Lesson", "Status", "What is learnt"), lesson.shown()))


@app.command()
def down(
    name: Annotated[str, typer.Argument(help="The container's name, or a lesson's, as `lab list` shows it.")],
    image: Annotated[bool, typer.Option("--image", help="Remove its image too: the next `up` builds it anew.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """Take a live system, or those of a lesson, down. Its image stays, so that the next `up` takes a second."""
    if lesson.is_lesson(name):
        local.lesson_end(name)
    else:
        local.lab_down(name, image=image)
    told(output, {"name": name, "status": "down"}, f"OK: {name} is down")


@app.command()
def drift(
    target: Annotated[str, typer.Argument(help="A container of the lab, by name.")],
    seed: Annotated[int, typer.Option(min=0, help="Which mutations: the same seed does the same to the same system.")],
    count: Annotated[int, typer.Option(min=1, max=10000, help="How many mutations.")],
    record: Annotated[Path | None, typer.Option(help="A file for what was done, as JSON.")] = None,
    output: Output = Format.TABLE,
) -> None:
    """Change a live system at random, and write down exactly what was done."""
    done = local.lab_drift(target, seed, count)
    if record is not None:
        record.write_text(json.dumps(done, indent=1), encoding="ascii")
    if output is Format.JSON:
        as_json(done)
        return
    say(table(("Kind", "What"), [(one["kind"], one["what"]) for one in done["mutations"]]))
    say(f"OK: {len(done['mutations'])} mutations of {target}, {len(done['expected'])} paths and rows are different")


def _told(system: LiveSystem) -> dict[str, Any]:
    return {
        "name": system.name,
        "system": system.system,
        "description": system.summary,
        "status": system.status,
        "image": system.image,
        "container": system.container,
        "url": system.url,
        "ports": {str(inside): outside for inside, outside in system.ports},
    }
