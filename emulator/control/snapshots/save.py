"""Save the whole lab: nothing runs meanwhile, and nobody writes."""

from __future__ import annotations

from pathlib import Path

from sqlmodel import col, select

from emulator.control.snapshots import determinism, rows, trees
from emulator.control.snapshots.shelf import Shelf, Snapshot
from emulator.errors import Conflict
from emulator.folders import SAVED
from emulator.resources.accounts.tables import CloudAccount
from emulator.resources.deployments.tables import Deployment
from emulator.resources.migrations.tables import Migration
from emulator.resources.publications.tables import Publication
from emulator.service import Service
from emulator.storage import stamp
from emulator.storage.schema import HEAD
from emulator.version import version

INSTANCES = frozenset({"instances"})


def save(here: Service, name: str, *, replace: bool = False) -> Snapshot:
    """Raises `Conflict` while jobs, migrations, agents or a seed are under way, for a name that is taken, and for instances whose disk is not here."""
    shelf = Shelf(here.folders.snapshots)
    with here.queue.still(), here.seeding.still(), shelf.new(name, replace=replace) as folder:
        _refuse(here)
        instances = _instances(here, folder / "instances")
        with here.database.write() as session:
            counts, sequences = rows.write(session, folder / "tables")
            for part in SAVED:
                trees.copy(here.folders.data / part, folder / "files" / part, without=INSTANCES if part == "cloud" else frozenset())
            determinism.write(folder)
        keys = here.vault.keys()
        if keys:
            (folder / "secrets.key").touch(mode=0o600)
            (folder / "secrets.key").write_bytes(keys)
        made = Snapshot(name=name, created=stamp.now(), forgelet=version(), revision=HEAD, rows=counts, sequences=sequences, instances=instances)
        made.notes += _notes(here)
        (folder / "snapshot.json").write_text(made.model_dump_json(indent=1), encoding="utf-8")
    return made


def _refuse(here: Service) -> None:
    """Raises `Conflict` for what a snapshot could not bring back."""
    with here.database.read() as session:
        running = session.exec(select(Migration.id).where(Migration.state == "running")).all()
        deployments = session.exec(select(Deployment).where(Deployment.cloud_id != "")).all()
    if running:
        raise Conflict(f"migrations are under way: {', '.join(map(str, running))}", hint="wait for them, or: forgelet migration cancel")
    elsewhere = [one for one in deployments if not (here.folders.cloud / "instances" / one.cloud_id / "instance.json").is_file()]
    if elsewhere:
        problems = [f"{one.name} ({one.application}): its disk is not on this machine, so it cannot be brought back" for one in elsewhere]
        raise Conflict("instances of other clouds cannot be saved", problems=problems, hint=f"terminate them first: forgelet deploy terminate {elsewhere[0].application}")


def _instances(here: Service, into: Path) -> dict[str, str]:
    if not any((here.folders.cloud / "instances").glob("*/instance.json")):
        return {}
    from builders.clouds.frozen import keep

    return keep(here.folders.cloud, into)


def _notes(here: Service) -> list[str]:
    with here.database.read() as session:
        asked = select(Publication.id, CloudAccount.name).join(CloudAccount, col(CloudAccount.id) == Publication.account_id)
        sent = session.exec(asked.where(CloudAccount.kind != "local", Publication.cloud_id != "")).all()
    return [f"publication {number}: its image stays in the cloud '{name}', and is not in the snapshot" for number, name in sent]
