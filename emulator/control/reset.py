"""Empty the service, or one user's part of it, at once. Users stay, with their keys and quotas, and the cache unless it is asked for.

Jobs are ended, rows deleted and folders moved aside while nobody else can write; what takes time is given back behind it
(`reaping.py`). So a request that comes after finds the service empty, and loses nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from sqlalchemy import Table, func, text
from sqlmodel import Session, SQLModel, col, select

from emulator.folders import Folders
from emulator.resources.accounts.tables import local_account
from emulator.resources.appliances.tables import Appliance, ApplianceExport, ApplianceImport
from emulator.resources.bundles.tables import Bundle, BundleExport, BundleImport
from emulator.resources.images.tables import Image
from emulator.resources.jobs.tables import Job
from emulator.resources.scans.tables import Scan, ScannedInstance
from emulator.resources.users.tables import ApiKey, Quota, User
from emulator.service import Service
from scanner.host import chance, clock

STAY = frozenset({str(User.__tablename__), str(ApiKey.__tablename__), str(Quota.__tablename__)})
"""Tables that a reset leaves as they are."""


def reset(here: Service, *, user: User | None = None, cache: bool = False) -> dict[str, int]:
    """How many rows of each table went. Of every user, or of one; the cache belongs to nobody and goes when asked."""
    with here.queue.halted(user.id if user else None), here.journal.book.turn, here.database.write() as session:
        here.journal.catch_up()
        counts = _counts(session, user)
        places = list(_places(session, here.folders, user) if user else here.folders.contents(cache=cache))
        _delete(session, user)
        for one in [user] if user else session.exec(select(User)).all():
            assert one.id is not None
            session.add(local_account(one.id, one.login))
        session.flush()
        here.reaping.set_aside(places)
        here.folders.make()
        if user is None:
            # Events of jobs are counted from the beginning again; nobody reads them before this is over.
            here.journal.book.mark = 0
            clock.put(None)
            chance.seed(None)
    here.interferences.changed()
    here.reaping.wake()
    return counts


def _tables() -> list[Table]:
    """Those that a reset empties; whoever refers to another comes first."""
    return [table for table in reversed(SQLModel.metadata.sorted_tables) if table.name not in STAY]


def _counts(session: Session, user: User | None) -> dict[str, int]:
    found = {}
    for table in _tables():
        if user is None:
            found[table.name] = session.execute(select(func.count()).select_from(table)).scalar_one()
        elif "user_id" in table.c:
            found[table.name] = session.execute(select(func.count()).select_from(table).where(table.c.user_id == user.id)).scalar_one()
    return {name: count for name, count in found.items() if count}


def _delete(session: Session, user: User | None) -> None:
    """Rows that belong to the user only through others go with those. Jobs go last: others name them, and they name nobody."""
    jobs = SQLModel.metadata.tables[str(Job.__tablename__)]
    for table in [*(one for one in _tables() if one is not jobs), jobs]:
        if user is None:
            session.execute(table.delete())
        elif "user_id" in table.c:
            session.execute(table.delete().where(table.c.user_id == user.id))
    if user is None:
        stay = ", ".join(f"'{name}'" for name in sorted(STAY))
        session.execute(text(f"DELETE FROM sqlite_sequence WHERE name NOT IN ({stay})"))


def _places(session: Session, folders: Folders, user: User) -> Iterable[Path]:
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
