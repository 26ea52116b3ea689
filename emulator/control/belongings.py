"""What a reset takes away: rows, counted and deleted with few statements, and the folders of what belongs to one user."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

from sqlmodel import Session, SQLModel, col, select

from emulator.folders import Folders
from emulator.resources.appliances.tables import Appliance, ApplianceExport, ApplianceImport
from emulator.resources.bundles.tables import Bundle, BundleExport, BundleImport
from emulator.resources.images.tables import Image
from emulator.resources.jobs.tables import Job
from emulator.resources.publications.tables import Publication
from emulator.resources.scans.tables import Scan, ScannedInstance
from emulator.resources.users.tables import ApiKey, Quota, User

STAY = frozenset({str(User.__tablename__), str(ApiKey.__tablename__), str(Quota.__tablename__)})
"""Tables that a reset leaves as they are."""
JOB = str(Job.__tablename__)
MINE = " WHERE user_id = ?"


def counts(session: Session, user_id: int | None) -> dict[str, int]:
    """How many rows each table has, of everybody or of one user; without those that have none."""
    tables = _tables(user_id is not None)
    one = MINE if user_id is not None else ""
    text = " UNION ALL ".join(f"SELECT '{name}', count(*) FROM \"{name}\"{one}" for name in tables)
    rows = session.connection().exec_driver_sql(text, (user_id,) * len(tables) if one else ())
    return {name: count for name, count in rows if count}


def delete(session: Session, user_id: int | None, there: Iterable[str]) -> None:
    """Delete these rows of the tables that have any. Rows that belong to the user only through others go with those."""
    connection, filled = session.connection(), set(there)
    for name in _tables(user_id is not None):
        if name in filled:
            connection.exec_driver_sql(f'DELETE FROM "{name}"{MINE if user_id is not None else ""}', () if user_id is None else (user_id,))
    if user_id is None:
        stay = ", ".join(f"'{name}'" for name in sorted(STAY))
        connection.exec_driver_sql(f"DELETE FROM sqlite_sequence WHERE name NOT IN ({stay})")


@cache
def _tables(of_users: bool) -> list[str]:
    """Those that a reset empties: whoever refers to another comes first; jobs last, since others name them and they name nobody."""
    tables = [table for table in reversed(SQLModel.metadata.sorted_tables) if table.name not in STAY and (not of_users or "user_id" in table.c)]
    return sorted((table.name for table in tables), key=lambda name: name == JOB)


def places(session: Session, folders: Folders, user: User) -> Iterable[Path]:
    """The folders of everything that belongs to the user."""
    scans = select(Scan.id).join(ScannedInstance).where(ScannedInstance.user_id == user.id)
    exports = select(ApplianceExport.id).join(Appliance).where(Appliance.user_id == user.id)
    bundle_exports = select(BundleExport.id).join(Bundle).where(Bundle.user_id == user.id)
    owned: list[tuple[Callable[[int], Path], object]] = [
        (folders.scan, scans),
        (folders.template, select(Appliance.id).where(Appliance.user_id == user.id)),
        (folders.export, exports),
        (folders.upload, select(ApplianceImport.id).where(ApplianceImport.user_id == user.id)),
        (folders.bundle, select(Bundle.id).where(Bundle.user_id == user.id)),
        (folders.bundle_export, bundle_exports),
        (folders.bundle_upload, select(BundleImport.id).where(BundleImport.user_id == user.id)),
        (folders.image, select(Image.id).where(Image.user_id == user.id)),
        (folders.job, select(Job.id).where(col(Job.user_id) == user.id)),
    ]
    for place, query in owned:
        for number in session.scalars(query):  # type: ignore[call-overload]
            yield place(number)
    if any(folders.cloud.iterdir()):
        from builders.clouds.tenants import belongings

        begun = select(Publication.cloud_id).where(Publication.user_id == user.id, Publication.cloud_id != "")
        yield from belongings(folders.cloud, user.login, session.exec(begun).all())
