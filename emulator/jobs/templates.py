"""The jobs of templates: pack one, read one, make one from a scan, build one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlmodel import Session, select

from emulator.jobs.outcome import Outcome, done
from emulator.jobs.room import fits
from emulator.resources.appliances.tables import Appliance
from emulator.resources.images.tables import Image
from emulator.resources.users.tables import User
from emulator.storage import stamp
from scanner.errors import UserError

if TYPE_CHECKING:
    from builders.library import Kept
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
        there = _library(todo) if todo.arguments["reuseBundles"] else {}
        stack, edited = read_archive(archive, todo.result, use_major=todo.arguments["useMajor"], library=there)
        fits(todo)
        for path in edited:
            todo.progress.log(f"edited in the overlay: {path}")
        for one in stack.own_bundles:
            if (one.name, one.version) in there:
                todo.progress.log(f"taken from the library: bundle '{one.name}' {one.version}")
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


def _library(todo: Assignment) -> dict[tuple[str, str], Kept]:
    from emulator.resources.bundles import service as bundles

    with todo.database.read() as session:
        return bundles.library(session, todo.folders, todo.job.user_id)


def _fill(todo: Assignment, stack: Stack, *, force: bool = False) -> None:
    """Write down what the template is, and its bundles into the library; a template of the same name and version, and other bundles of
    the same, go away when it is forced. Raises `Conflict`, `QuotaExceeded`."""
    from emulator.resources.appliances import service as templates
    from emulator.resources.bundles import service as bundles
    from emulator.resources.quotas import service as quotas

    gone: list[Path] = []
    with todo.database.write() as session:
        made = session.get_one(Appliance, todo.arguments["appliance"])
        there = templates.named(session, made.user_id, stack.name, stack.version)
        if there is not None and there.id != made.id:
            if not force:
                templates.check_free(session, made.user_id, stack.name, stack.version)
            gone.append(_replace(session, todo, there))
        else:
            quotas.claim(session, session.get_one(User, made.user_id), "appliance", 0)
        gone += bundles.take_in(session, todo.folders, made.user_id, [one.document for one in stack.own_bundles], todo.result / "files", force=force)
        made.name, made.version, made.description, made.stack = stack.name, stack.version, stack.description, stack.document
        made.distribution, made.arch = f"{stack.system.name} {stack.system.version} ", "x86_64"
        made.scanned, made.imported, made.modified = stack.from_scan, bool(todo.arguments.get("imported")), stamp.now()
    for folder in gone:
        todo.folders.discard(folder)


def _replace(session: Session, todo: Assignment, there: Appliance) -> Path:
    """The folder that is nobody's once the transaction is over. Raises `UserError`."""
    if session.exec(select(Image).where(Image.appliance_id == there.id)).first() is not None:
        raise UserError(
            f"the template '{there.name}' of version '{there.version}' cannot be replaced: images were made from it",
            hint=f"delete them first, or give another version; they are of template {there.id}",
        )
    assert there.id is not None
    session.delete(there)
    session.flush()
    return todo.folders.template(there.id)
