"""Cloud accounts: check, keep, tell, find. Secrets are sealed when they are stored and never told."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import or_
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from builders.clouds.versions import version_problem, version_warning
from emulator.errors import Conflict
from emulator.jobs.kinds import ENDED
from emulator.resources.accounts.tables import LOCAL, CloudAccount
from emulator.resources.deployments.tables import Deployment
from emulator.resources.formats.catalogue import Platform, platform
from emulator.resources.jobs.tables import Job
from emulator.resources.migrations.tables import Migration
from emulator.resources.publications.tables import Publication
from emulator.resources.users.tables import User
from emulator.service import Service
from emulator.storage import stamp
from scanner.errors import NotFound, UserError

COMMON = frozenset({"xsiType", "name", "targetPlatform", "created", "dbId", "digest", "lastModified", "parentUri", "uri", "secretsMissing"})
CERTIFIED = ("CredAccountAws", "CredAccountGoogle")
"""Types whose answers must have the wrapper of certificates (PROTOCOL section 6)."""


def account_uri(user: User, account: CloudAccount) -> str:
    return f"users/{user.login}/accounts/{account.id}"


def tell(user: User, account: CloudAccount) -> dict[str, Any]:
    """credAccount, without its secrets."""
    kind = platform(account.platform)
    held = set(account.held)
    told = {
        "xsiType": kind.account,
        "created": account.created,
        "dbId": account.id,
        "name": account.name,
        "parentUri": f"users/{user.login}",
        "uri": account_uri(user, account),
        "targetPlatform": kind.tell(),
        "secretsMissing": not held.intersection(kind.secrets) if kind.ours else not held.issuperset(kind.secrets),
        **{key: value for key, value in account.fields.items() if key != "certificates"},
    }
    if warning := version_warning(account.fields.get("keystoneVersion")):
        told["warning"] = warning
    if kind.account in CERTIFIED:
        told["certificates"] = {"certificate": account.fields.get("certificates", [])}
    return told


def accounts(session: Session, user: User) -> Sequence[CloudAccount]:
    """In the order in which they were made."""
    return session.exec(select(CloudAccount).where(CloudAccount.user_id == user.id).order_by(col(CloudAccount.id))).all()


def find(session: Session, user: User, account_id: int) -> CloudAccount:
    """Raises `NotFound`, for other users' accounts too."""
    found = session.get(CloudAccount, account_id)
    if found is None or found.user_id != user.id:
        raise NotFound(f"there is no cloud account {account_id}", hint="forgelet account list")
    return found


def named(session: Session, user: User, name: str) -> CloudAccount:
    """By its name. Raises `NotFound`."""
    found = session.exec(select(CloudAccount).where(CloudAccount.user_id == user.id, CloudAccount.name == name)).first()
    if found is None:
        raise NotFound(f"there is no cloud account '{name}'", hint="forgelet account list")
    return found


def secrets(here: Service, account: CloudAccount) -> dict[str, Any]:
    """What opens the account, in clear: for the one call that logs in with it, never for an answer, log or argument."""
    told = json.loads(here.vault.unseal(account.secrets)) if account.secrets else {}
    assert isinstance(told, dict)
    return told


def create(here: Service, user: User, asked: dict[str, Any]) -> CloudAccount:
    """Raises `UserError` naming everything that is missing or unknown, `Conflict` for a name that is taken."""
    kind, fields, hidden = _read(asked)
    assert user.id is not None
    made = CloudAccount(user_id=user.id, name=asked["name"], platform=kind.name, fields=fields, held=sorted(hidden), created=stamp.now())
    try:
        with here.database.write() as session:
            # The lock first: what is sealed here is stored before the key can change (`Vault.rotate`).
            session.connection()
            made.secrets = here.vault.seal(json.dumps(hidden)) if hidden else ""
            session.add(made)
    except IntegrityError as error:
        raise Conflict(f"there is a cloud account '{made.name}' already", hint="give another name, or delete that one: forgelet account delete") from error
    return made


def replace(here: Service, account: CloudAccount, asked: dict[str, Any]) -> CloudAccount:
    """What opens the account is what `asked` says from now on; what uses it goes on with that. Raises `UserError`, and `Conflict` when it is
    another account or this machine's own."""
    _own(account)
    kind, fields, hidden = _read(asked)
    if (asked["name"], kind.name) != (account.name, account.platform):
        raise Conflict(f"'{account.name}' is an account of {account.platform} and stays one, under its name", hint="forgelet account create makes another")
    with here.database.write() as session:
        session.connection()
        row = session.get_one(CloudAccount, account.id)
        row.fields, row.held = fields, sorted(hidden)
        row.secrets = here.vault.seal(json.dumps(hidden)) if hidden else ""
    return row


def _read(asked: dict[str, Any]) -> tuple[Platform, dict[str, Any], dict[str, Any]]:
    """Its platform, its elements, and those that are secret. Raises `UserError`."""
    kind = platform(str(asked.get("targetPlatform", {}).get("name", "")))
    problems = _problems(asked, kind)
    if problems:
        raise UserError(f"the account cannot be kept as one of {kind.name}", problems=problems)
    fields = {key: value for key, value in asked.items() if key in (*kind.needs, *kind.may, *kind.ours)}
    hidden = {key: fields.pop(key) for key in kind.secrets if key in fields and key != "certificates"}
    if "certificates" in fields:
        given = fields["certificates"].get("certificate", [])
        fields["certificates"] = [{key: one[key] for key in ("name", "type") if key in one} for one in given]
        contents = {one.get("name", ""): one["content"] for one in given if "content" in one}
        hidden |= {"certificates": contents} if contents else {}
    return kind, fields, hidden


def _problems(asked: dict[str, Any], kind: Platform) -> list[str]:
    known = COMMON | {*kind.needs, *kind.may, *kind.ours}
    # An application credential is a login of its own; whoever has a number needs no name.
    credential = asked.get("applicationCredentialId") or asked.get("applicationCredentialName")
    spared = {*(("password",) if credential else ()), *(("login",) if asked.get("applicationCredentialId") or asked.get("userId") else ())}
    name = str(asked.get("name", "")).strip()
    return [
        *([] if name and len(name) <= 200 else ["name: an account needs a name, of 200 characters at most"]),
        *(f"{key}: is missing" for key in kind.needs if asked.get(key) in (None, "") and key not in spared),
        *(f"{key}: accounts of {kind.name} have no such element" for key in asked if key not in known),
        *filter(None, [version_problem(asked.get("keystoneVersion")) if "keystoneVersion" in known else ""]),
        *([f"xsi:type: {asked['xsiType']} is not {kind.account}, which {kind.name} needs"] if asked.get("xsiType", kind.account) != kind.account else []),
    ]


def remove(here: Service, account: CloudAccount) -> None:
    """Take the account away, its secrets with it. Raises `Conflict` for the one of this machine, and while something in the cloud could not be
    taken away without it."""
    _own(account)
    with here.database.write() as session:
        used = _uses(session, account)
        if used:
            raise Conflict(f"the account '{account.name}' is in use", hint="forgelet deploy terminate, image delete --publish-id, or migration stop; then again", problems=used)
        session.delete(session.get_one(CloudAccount, account.id))


def _own(account: CloudAccount) -> None:
    if account.kind == LOCAL:
        raise Conflict(f"the account '{account.name}' is this machine's own cloud and stays", hint="forgelet account list")


def _uses(session: Session, account: CloudAccount) -> list[str]:
    """What is in the cloud by this account, or is on its way there."""
    sent = select(Publication).join(Job, col(Job.id) == Publication.job_id).where(Publication.account_id == account.id)
    publications = session.exec(sent.where(or_(col(Publication.cloud_id) != "", col(Job.state).not_in(ENDED))).order_by(col(Publication.id))).all()
    deployed = select(Deployment).join(Publication, col(Publication.id) == Deployment.publication_id).where(Publication.account_id == account.id)
    deployments = session.exec(deployed.order_by(col(Deployment.id))).all()
    running = session.exec(select(Migration).where(Migration.user_id == account.user_id, Migration.state == "running")).all()
    return [
        *(f"deployment {one.application}: {one.name}" for one in deployments),
        *(f"publication {one.id}: {one.name}" for one in publications),
        *(f"migration {one.id}: {one.name}" for one in running if _publishes(one, account)),
    ]


def _publishes(migration: Migration, account: CloudAccount) -> bool:
    named = migration.wanted["builder"].get("account")
    told = named if isinstance(named, dict) else {"name": named}
    number = str(told.get("dbId") or str(told.get("uri") or "").rpartition("/")[2])
    return bool(migration.wanted.get("publish", True)) and (number == str(account.id) or (not number and told.get("name") == account.name))
