"""The database and the settings."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import insert, inspect, text
from sqlalchemy.exc import IntegrityError

from emulator.control.tables import Fault
from emulator.resources.jobs.tables import JobEvent
from emulator.settings import load
from emulator.storage import stamp
from emulator.storage.engine import Database
from emulator.storage.schema import HEAD, prepare, revision
from scanner.errors import UserError


@pytest.fixture
def database(tmp_path: Path) -> Database:
    made = Database(tmp_path / "f.db")
    prepare(made)
    return made


def _ask(database: Database, question: str) -> object:
    with database.read() as session:
        return session.connection().execute(text(question)).scalar()


def test_the_database_is_in_wal_mode_with_foreign_keys(database: Database) -> None:
    assert _ask(database, "PRAGMA journal_mode") == "wal"
    assert _ask(database, "PRAGMA foreign_keys") == 1
    with pytest.raises(IntegrityError), database.write() as session:
        session.add(JobEvent(job_id=99, time="", kind="state", name="queued"))


def test_a_writer_has_the_lock_from_its_first_word(database: Database) -> None:
    other = sqlite3.connect(database.path, timeout=0.01, isolation_level=None)
    with database.write() as session:
        session.connection()
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
    other.execute("BEGIN IMMEDIATE")
    other.close()


def test_a_failed_transaction_leaves_nothing(database: Database) -> None:
    with pytest.raises(ZeroDivisionError), database.write() as session:
        session.connection().execute(insert(Fault).values(stage="s", action="fail"))
        raise ZeroDivisionError
    assert _ask(database, "SELECT count(*) FROM fault") == 0


def test_a_new_database_is_stamped_and_opening_it_again_changes_nothing(database: Database) -> None:
    assert revision(database) == HEAD
    prepare(database)
    assert revision(database) == HEAD


def test_a_database_of_an_unknown_older_revision_is_not_touched(tmp_path: Path) -> None:
    old = Database(tmp_path / "old.db")
    with old.write() as session:
        session.connection().exec_driver_sql("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)")
        session.connection().exec_driver_sql("INSERT INTO alembic_version VALUES ('0000')")
    with pytest.raises(UserError, match="0000"):
        prepare(old)
    assert revision(old) == "0000"


def test_the_first_revision_makes_the_same_tables_as_a_new_database(database: Database, tmp_path: Path) -> None:
    from emulator.storage.schema import _upgrade

    migrated = Database(tmp_path / "migrated.db")
    _upgrade(migrated)
    with migrated.read() as there, database.read() as here:
        assert set(inspect(there.connection()).get_table_names()) == set(inspect(here.connection()).get_table_names())
    assert revision(migrated) == HEAD


def test_a_database_of_a_newer_forgelet_is_refused(database: Database) -> None:
    with database.write() as session:
        session.connection().exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(UserError, match="newer"):
        prepare(database)


def test_names_that_are_not_utf8_become_printable() -> None:
    assert stamp.printable("/odd\udcff") == "/odd\\udcff"


def test_the_environment_wins_over_the_config_file_and_options_over_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "config.toml"
    file.write_text('port = 1111\nuser = "alice"\ndebian_mirror = "http://127.0.0.1:9/debian"\n')
    monkeypatch.setenv("FORGELET_CONFIG", str(file))
    monkeypatch.setenv("FORGELET_PORT", "2222")
    assert (load().port, load().user, load(port=3333).port, load(port=None).port) == (2222, "alice", 3333, 2222)
    assert load().environment() == {"FORGELET_DEBIAN_MIRROR": "http://127.0.0.1:9/debian", "FORGELET_CACHE_SIZE": "20480"}


def test_a_yaml_config_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "config.yml"
    file.write_text("user: bob\n")
    monkeypatch.setenv("FORGELET_CONFIG", str(file))
    assert load().user == "bob"


def test_wrong_settings_are_named_with_the_place_to_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORGELET_PORT", "many")
    with pytest.raises(UserError) as told:
        load()
    assert told.value.problems[0].startswith("port")


@pytest.mark.parametrize("text", ["port = [", "= = ="])
def test_a_config_file_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    file = tmp_path / "config.toml"
    file.write_text(text)
    monkeypatch.setenv("FORGELET_CONFIG", str(file))
    with pytest.raises(UserError, match=r"config\.toml"):
        load()


def test_every_table_of_the_service_is_made_in_a_new_database(tmp_path: Path) -> None:
    """In a process of its own, since importing the routes registers tables that `emulator.storage.tables` may have forgotten."""
    import subprocess
    import sys

    code = (
        "import sys, importlib, pkgutil; from pathlib import Path; from sqlalchemy import inspect; from sqlmodel import SQLModel\n"
        "from emulator.storage.engine import Database, create_tables\n"
        "database = Database(Path(sys.argv[1])); create_tables(database); made = set(inspect(database.engine).get_table_names())\n"
        "import emulator\n"
        "[importlib.import_module(one.name) for one in pkgutil.walk_packages(emulator.__path__, 'emulator.') if one.name.endswith('.tables')]\n"
        "assert made and made == set(SQLModel.metadata.tables), set(SQLModel.metadata.tables) - made\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "new.db")], check=True, timeout=60)


def test_faults_of_a_database_of_the_first_revision_are_everybodys(tmp_path: Path) -> None:
    old = Database(tmp_path / "old.db")
    with old.write() as session:
        for statement in (
            "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)",
            "INSERT INTO alembic_version VALUES ('0001')",
            'CREATE TABLE "user" (id INTEGER PRIMARY KEY)',
            "CREATE TABLE fault (id INTEGER PRIMARY KEY, stage TEXT)",
            "INSERT INTO fault VALUES (1, 'build.base')",
        ):
            session.connection().exec_driver_sql(statement)
    prepare(old)
    assert revision(old) == HEAD
    assert _ask(old, "SELECT count(*) FROM fault WHERE user_id IS NULL") == 1
