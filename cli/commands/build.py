"""`forgelet scan build`: images from a scan, by a builder file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cli import render
from cli.client import Client
from cli.context import client, follow
from cli.errors import CommandError
from cli.render import Format, Output
from cli.scans import below, find
from cli.sendable import sendable
from cli.yamlfile import data_of

Offline = Annotated[bool, typer.Option("--offline", help="Fetch nothing: all comes from the cache, and what it lacks is named before anything starts.")]


def build(
    context: typer.Context,
    id: Annotated[int, typer.Option("--id", help="Number of the scan.")],
    file: Annotated[Path, typer.Option(help="The builder file, YAML or JSON.")],
    offline: Offline = False,
    output: Output = Format.TABLE,
) -> None:
    """Build machine images from a scan. It is rehearsed first: conditions are told, what blocks it is refused."""
    service, quiet = client(context), output == Format.JSON
    text = read_file(file)
    scan = find(service, id)
    images = service.post(f"{below(scan['uri'])}/builds", request(file, text, offline=offline), patient=True)["images"]["image"]
    if not quiet:
        render.say(f"OK: Syntax of template file [{file.name}] is ok")
        for line in conditions(images):
            render.say(line)
    code, made = 0, []
    for number, image in enumerate(images, 1):
        one, failure = follow_image(service, image, f"({number}/{len(images)})", quiet)
        made.append(one)
        code = code or failure
    if quiet:
        render.as_json({"images": {"image": made}})
    raise typer.Exit(code)


def request(file: Path, text: str, *, offline: bool) -> dict[str, Any]:
    """The body of a request about the builder file."""
    return {"fileName": file.name, "text": sendable(text), **({"offline": True} if offline else {})}


def conditions(images: list[dict[str, Any]]) -> list[str]:
    """What the rehearsal said that the builds go ahead with all the same, each once."""
    found = dict.fromkeys(one for image in images for one in image.get("conditions", []))
    return [f"condition: {one}" for one in found]


def read_file(file: Path) -> str:
    """Raises `CommandError`."""
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"the builder file {file} cannot be read: {error}", hint="give --file a YAML or JSON file") from error


def named_template(service: Client, file: Path, text: str) -> int:
    """The template that the file's stack names. Raises `CommandError`."""
    told = data_of(text, file, "give --file a YAML or JSON file", raw=True)
    stack = told.get("stack") if isinstance(told, dict) else None
    if not isinstance(stack, dict) or not stack.get("name") or not stack.get("version"):
        raise CommandError(f"{file} names no template (stack: name, version)", hint="give --id, or the stack section")
    found = service.get("appliances", query=f"name=='{stack['name']}';version=='{stack['version']}'")["appliances"]["appliance"]
    if not found:
        raise CommandError(f"there is no template '{stack['name']}' of version '{stack['version']}'", hint="forgelet template list")
    return int(found[0]["dbId"])


def follow_image(service: Client, image: dict[str, Any], place: str, quiet: bool) -> tuple[dict[str, Any], int]:
    """Watch one build; answers the image as it is then, and the exit code."""
    kind = image["targetFormat"]["name"]
    if not quiet:
        render.say(f"Generating '{kind}' image {place}")
    try:
        follow(service, image["jobId"], quiet=quiet)
    except CommandError as error:
        # The next builder of the file has its own job, and goes on.
        render.warn(f"ERROR: Generation '{kind}' failed: {error.message}")
        if error.hint:
            render.warn(f"  next: {error.hint}")
        return service.get(f"images/{image['dbId']}"), error.exit_code
    done = service.get(f"images/{image['dbId']}")
    if not quiet:
        _tell(done, kind)
    return done, 0


def _tell(image: dict[str, Any], kind: str) -> None:
    render.say(f"OK: Generation '{kind}' ok")
    render.say(f"image {image['dbId']}: {image['name']}")
    for reason, count in image.get("notBrought", {}).items():
        render.say(f"not brought ({reason}): {count} paths")
    if image.get("bootCommand"):
        render.say("boot it without Forgelet:")
        render.say(f"  {image['bootCommand']}")
