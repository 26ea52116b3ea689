"""/_forgelet/users: what an administrator does, and what a user does with his own login. UForge has its own portal for this."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, ConfigDict, SecretStr

from emulator.errors import Forbidden
from emulator.resources.quotas import service as quotas
from emulator.resources.users import service as users
from emulator.resources.users.tables import User
from emulator.service import TheAdmin, TheService, TheUser
from emulator.wire.answer import nothing, our_collection, ours

router = APIRouter(prefix="/users")


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


class UserRequest(_Request):
    """A new user."""

    login: str
    password: SecretStr
    admin: bool = False
    email: str = ""
    firstName: str = ""
    surname: str = ""


class PasswordRequest(_Request):
    """A user's new password."""

    password: SecretStr


class QuotaRequest(_Request):
    """`limit` of `type`; -1: unlimited."""

    type: str
    limit: int


def named(login: str, here: TheService, asking: TheUser) -> User:
    """The user in the path: oneself, or anybody for an administrator. Raises `Forbidden`, `NotFound`."""
    if login != asking.login and not asking.admin:
        raise Forbidden(f"you are '{asking.login}', and no administrator: '{login}' is not yours to manage")
    with here.database.read() as session:
        return users.find(session, login)


TheNamed = Annotated[User, Depends(named)]


@router.get("")
def index(here: TheService, _asking: TheAdmin) -> Response:
    """Every user of the service."""
    with here.database.read() as session:
        return our_collection("users", "user", [users.tell(one) for one in users.users(session)])


@router.post("")
def create(asked: UserRequest, here: TheService, _asking: TheAdmin) -> Response:
    """Make a user."""
    names = {"email": asked.email, "first_name": asked.firstName, "surname": asked.surname}
    return ours("user", users.tell(users.create(here, asked.login, asked.password.get_secret_value(), admin=asked.admin, **names)), 201)


@router.delete("/{login}")
def delete(here: TheService, user: TheNamed, _asking: TheAdmin) -> Response:
    """Delete a user with everything that is his."""
    users.remove(here, user)
    return nothing()


@router.put("/{login}/password")
def password(asked: PasswordRequest, here: TheService, user: TheNamed) -> Response:
    """Change a user's password."""
    users.change_password(here, user, asked.password.get_secret_value())
    return nothing()


@router.put("/{login}/quotas")
def quota(asked: QuotaRequest, here: TheService, user: TheNamed, _asking: TheAdmin) -> Response:
    """Set what a user may have."""
    quotas.allow(here.database, user, asked.type, asked.limit)
    return our_collection("quotas", "quota", quotas.tell(here, user))


@router.get("/{login}/keys")
def keys(here: TheService, user: TheNamed) -> Response:
    """A user's API keys, without their secrets."""
    with here.database.read() as session:
        return our_collection("keys", "key", [users.tell_key(one) for one in users.keys(session, user)])


@router.post("/{login}/keys")
def make_key(here: TheService, user: TheNamed) -> Response:
    """The only answer that ever tells the secret key."""
    return ours("key", users.make_key(here, user), 201)


@router.delete("/{login}/keys/{kid}")
def delete_key(kid: int, here: TheService, user: TheNamed) -> Response:
    """Take an API key away."""
    users.remove_key(here, user, kid)
    return nothing()
