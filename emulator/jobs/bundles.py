"""The jobs of bundles: pack one, read one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.jobs.outcome import Outcome, done
from emulator.jobs.room import fits
from emulator.resources.bundles.tables import Bundle
from emulator.storage import stamp

if TYPE_CHECKING:
    from emulator.jobs.tasks import Assignment


def export(todo: Assignment) -> Outcome:
    """Write the archive of the bundle `arguments.bundle`."""
    from builders.library import write_archive
    from emulator.resources.bundles.service import kept

    todo.progress.stage("pack", "Writing the archive")
    with todo.database.read() as session:
        found = kept(todo.folders, session.get_one(Bundle, todo.arguments["bundle"]))
    write_archive(found, todo.arguments["format"], todo.result / "archive.tar.gz")
    return done("Exported")


def read(todo: Assignment) -> Outcome:
    """Make a bundle of the archive that was uploaded for import `arguments.import`. Raises `Conflict`, `QuotaExceeded`."""
    from builders.library import read_archive
    from emulator.resources.bundles.service import check_free

    archive = todo.folders.bundle_upload(todo.arguments["import"])
    try:
        todo.progress.stage("read", "Reading the archive")
        made = read_archive(archive, todo.result, todo.work / "archive")
        fits(todo)
        with todo.database.write() as session:
            row = session.get_one(Bundle, todo.arguments["bundle"])
            check_free(session, row.user_id, made.document["name"], made.document["version"])
            row.name, row.version, row.document = made.document["name"], made.document["version"], made.document
            row.size, row.modified = made.size, stamp.now()
    finally:
        archive.unlink(missing_ok=True)
    return done("Imported")
