"""The jobs of templates: pack one, read one, make one from a scan, build one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmodel import Session, select

from emulator.jobs.outcome import Outcome, done
from emulator.resources.appliances.tables import Appliance
from emulator.resources.images.tables import Image
from emulator.storage import stamp
from scanner.errors import UserError

if TYPE_CHECKING:
    from builders.spec import BuilderSpec
    from builders.stack import Stack
    from builders.template import Template
    from emulator.jobs.tasks import Assignment


def held(todo: Assignment) -> Template:
    """The template `arguments.appliance`."""
    from builders.stack import parse_document
    from builders.template import Template

    number = todo.arguments["appliance"]
    with todo.database.read() as session:
        stack = parse_document(session.get_one(Appliance, number).stack)
    return Template(stack, todo.folders.template(number))


def export(todo: Assignment) -> Outcome:
    """Write the archive of the template `arguments.appliance`."""
    from builders.template import write_archive

    todo.progress.stage("pack", "Writing the archive")
    write_archive(held(todo), todo.arguments["format"], todo.result / "archive.tar.gz", todo.work)
    return done("Exported")


def read(todo: Assignment) -> Outcome:
    """Make a template of the archive that was uploaded for import `arguments.import`."""
    from builders.template import read_archive

    archive = todo.folders.upload(todo.arguments["import"])
    try:
        todo.progress.stage("read", "Reading the archive")
        stack, edited = read_archive(archive, todo.result, use_major=todo.arguments["useMajor"])
        for path in edited:
            todo.progress.log(f"edited in the overlay: {path}")
        _fill(todo, stack, force=todo.arguments["force"])
    finally:
        archive.unlink(missing_ok=True)
    return done("Imported")


def from_scan(todo: Assignment) -> Outcome:
    """Make the template of the scan `arguments.scan`."""
    from builders.template import from_scan as make

    todo.progress.stage("copy", "Making the template")
    stack = make(todo.folders.scan(todo.arguments["scan"]), todo.result, todo.arguments["name"], todo.arguments["version"])
    _fill(todo, stack)
    return done("Imported")


def build(todo: Assignment, spec: BuilderSpec) -> Outcome:
    """Build the image that `arguments.spec` asks for from the template; only its plan when it is simulated."""
    from builders.templated import build_template, rehearse

    template = held(todo)
    if todo.arguments.get("simulated"):
        todo.progress.stage("plan", "Planning")
        plan = rehearse(template, spec, todo.folders.cache)
        (todo.result / "plan.json").write_text(plan.model_dump_json(indent=1), encoding="utf-8")
        return done("Done, simulated")
    build_template(template, spec, todo.result, todo.work, todo.folders.cache, todo.progress)
    return done("Done, created")


def _fill(todo: Assignment, stack: Stack, *, force: bool = False) -> None:
    """Write down what the template is; one of the same name and version goes away when it is forced. Raises `Conflict`."""
    from emulator.resources.appliances import service as templates

    with todo.database.write() as session:
        made = session.get_one(Appliance, todo.arguments["appliance"])
        there = templates.named(session, made.user_id, stack.name, stack.version)
        if there is not None and there.id != made.id:
            if not force:
                templates.check_free(session, made.user_id, stack.name, stack.version)
            _replace(todo, session, there)
        made.name, made.version, made.description, made.stack = stack.name, stack.version, stack.description, stack.document
        made.distribution, made.arch = f"{stack.system.name} {stack.system.version} ", "x86_64"
        made.scanned, made.imported, made.modified = stack.from_scan, bool(todo.arguments.get("imported")), stamp.now()


def _replace(todo: Assignment, session: Session, there: Appliance) -> None:
    if session.exec(select(Image).where(Image.appliance_id == there.id)).first() is not None:
        raise UserError(
            f"the template '{there.name}' of version '{there.version}' cannot be replaced: images were made from it",
            hint=f"delete them first, or give another version; they are of template {there.id}",
        )
    assert there.id is not None
    session.delete(there)
    session.flush()
    todo.folders.discard(todo.folders.template(there.id))
