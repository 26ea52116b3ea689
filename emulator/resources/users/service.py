"""Users: make, find, tell, delete; their passwords and API keys."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, SQLModel, col, delete, func, select

from emulator.auth import hash_password
from emulator.errors import Conflict
from emulator.jobs.kinds import State
from emulator.resources.accounts.tables import local_account
from emulator.resources.appliances.tables import ApplianceImport
from emulator.resources.bundles.tables import BundleImport
from emulator.resources.jobs.tables import Job, JobEvent
from emulator.resources.users.tables import ApiKey, User
from emulator.service import Service
from emulator.storage import stamp
from scanner.errors import NotFound, UserError

LOGIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
GOES_ALONG = frozenset({"api_key", "quota", "cloud_account", "appliance_import", "bundle_import", "job", "fault"})
"""Tables whose rows are deleted with their user; rows in any other keep him."""


def tell(user: User) -> dict[str, Any]:
    """user"""
    return {
        "created": user.created,
        "dbId": user.id,
        "loginName": user.login,
        "active": True,
        "email": user.email,
        "firstName": user.first_name,
        "surname": user.surname,
        "admin": user.admin,
        "promoCode": "",
        "creationCode": "",
        "quotasUri": f"users/{user.login}/quotas",
        "uri": f"users/{user.login}",
    }


def users(session: Session) -> Sequence[User]:
    return session.exec(select(User).order_by(col(User.id))).all()


def find(session: Session, login: str) -> User:
    """Raises `NotFound`."""
    found = session.exec(select(User).where(User.login == login)).first()
    if found is None:
        raise NotFound(f"there is no user '{login}'", hint="forgelet user list")
    return found


def create(here: Service, login: str, password: str, *, admin: bool = False, email: str = "", first_name: str = "", surname: str = "") -> User:
    """Raises `UserError`, `Conflict`."""
    problems = []
    if not LOGIN.fullmatch(login):
        problems.append("login: letters, digits and . _ @ - only, 64 at most, the first a letter or a digit")
    if not password:
        problems.append("password: must not be empty")
    named = {"email": email, "firstName": first_name, "surname": surname}
    problems += [f"{key}: longer than 200 characters, or not printable" for key, text in named.items() if len(text) > 200 or not text.isprintable()]
    if problems:
        raise UserError("the user cannot be made", problems=problems)
    made = User(login=login, password=hash_password(password), created=stamp.now(), admin=admin)
    made.email, made.first_name, made.surname = email, first_name, surname
    try:
        with here.database.write() as session:
            session.add(made)
            session.flush()
            assert made.id is not None
            session.add(local_account(made.id, login))
    except IntegrityError as error:
        raise Conflict(f"there is a user '{login}' already", hint="forgelet user list") from error
    return made


def change_password(here: Service, user: User, password: str) -> None:
    """Raises `UserError`."""
    if not password:
        raise UserError("a password must not be empty")
    with here.database.write() as session:
        session.get_one(User, user.id).password = hash_password(password)


def remove(here: Service, user: User) -> None:
    """Raises `Conflict` while the user has anything, or is the last administrator."""
    with here.database.write() as session:
        if user.admin and session.exec(select(func.count(col(User.id))).where(User.admin == True)).one() == 1:  # noqa: E712  (SQL)
            raise Conflict(f"'{user.login}' is the last administrator", hint="make another first: forgelet user create LOGIN --admin")
        _keeps_nothing(session, user)
        numbers = session.exec(select(Job.id).where(Job.user_id == user.id)).all()
        for imports in (ApplianceImport, BundleImport):
            session.exec(delete(imports).where(col(imports.user_id) == user.id))
        session.exec(delete(JobEvent).where(col(JobEvent.job_id).in_(numbers)))
        session.exec(delete(Job).where(col(Job.user_id) == user.id))
        session.delete(session.get_one(User, user.id))


def _keeps_nothing(session: Session, user: User) -> None:
    running = session.exec(select(Job.id).where(Job.user_id == user.id, col(Job.state).in_((State.QUEUED, State.RUNNING)))).all()
    if running:
        raise Conflict(f"jobs of '{user.login}' are not finished: {', '.join(map(str, running))}", hint=f"forgelet job cancel {running[0]}")
    for name, table in sorted(SQLModel.metadata.tables.items()):
        if name in GOES_ALONG or "user_id" not in table.c:
            continue
        count = session.connection().execute(select(func.count()).select_from(table).where(table.c.user_id == user.id)).scalar()
        if count:
            raise Conflict(f"'{user.login}' still has {count} {name.replace('_', ' ')}(s)", hint="delete them first, as that user")


def keys(session: Session, user: User) -> Sequence[ApiKey]:
    return session.exec(select(ApiKey).where(ApiKey.user_id == user.id).order_by(col(ApiKey.id))).all()


def make_key(here: Service, user: User) -> dict[str, Any]:
    """A new pair: the only time that the secret one is told."""
    assert user.id is not None
    public, secret = secrets.token_hex(16), secrets.token_hex(32)
    with here.database.write() as session:
        # The lock first: what is sealed here is stored before the key can change (`Vault.rotate`).
        session.connection()
        made = ApiKey(user_id=user.id, public=public, secret=here.vault.seal(secret), created=stamp.now())
        session.add(made)
    return {**tell_key(made), "secretKey": secret}


def tell_key(key: ApiKey) -> dict[str, Any]:
    return {"dbId": key.id, "publicKey": key.public, "created": key.created}


def remove_key(here: Service, user: User, key_id: int) -> None:
    """Raises `NotFound`."""
    with here.database.write() as session:
        found = session.get(ApiKey, key_id)
        if found is None or found.user_id != user.id:
            raise NotFound(f"there is no API key {key_id}", hint=f"forgelet user key {user.login} --list")
        session.delete(found)
