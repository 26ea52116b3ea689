"""Which version the database has. A new one is made whole and stamped; only an older one meets Alembic (its import takes long)."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import inspect, text

from emulator.storage.engine import Database, create_tables
from scanner.errors import UserError

HEAD = "0002"
"""The newest revision in `migrations/versions`."""


def prepare(database: Database) -> None:
    """Bring the database to `HEAD`. Raises `UserError` when it was made by a newer Forgelet."""
    found = revision(database)
    if found == HEAD:
        return
    if found is None:
        create_tables(database)
        _stamp(database)
    elif found > HEAD:
        raise UserError(
            f"the database {database.path} has revision {found}, newer than this Forgelet's {HEAD}", hint="upgrade forgelet, or give another --data"
        )
    else:
        _upgrade(database)


def revision(database: Database) -> str | None:
    """The revision that the database is stamped with; None for a new one."""
    with database.read() as session:
        if not inspect(session.connection()).has_table("alembic_version"):
            return None
        return session.connection().execute(text("SELECT version_num FROM alembic_version")).scalar()


def _stamp(database: Database) -> None:
    with database.write() as session:
        session.connection().exec_driver_sql("CREATE TABLE IF NOT EXISTS alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)")
        session.connection().exec_driver_sql("INSERT INTO alembic_version VALUES (?)", (HEAD,))


def _upgrade(database: Database) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    with database.write() as session:
        config.attributes["connection"] = session.connection()
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise UserError(f"the database {database.path} cannot be brought up to date: {error}", hint="give another --data") from error
