"""Who is asking: HTTP Basic over scrypt hashes, or API keys (HMAC-SHA1 over the request target), compared in constant time.

A login `boss\\alice` is the supervisor login of UForge: boss's password, alice's resources, boss an administrator.

scrypt is slow on purpose; credentials that were right are remembered (as a keyed digest, in memory only), so that polls are cheap.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
import threading
from urllib.parse import parse_qs, unquote_to_bytes

from sqlmodel import select
from starlette.types import Scope

from emulator.errors import Forbidden, Unauthorized
from emulator.resources.accounts.tables import local_account
from emulator.resources.users.tables import ApiKey, User
from emulator.storage import stamp
from emulator.storage.engine import Database
from emulator.storage.vault import Vault
from emulator.wire.negotiation import header

_COST = {"n": 2**14, "r": 8, "p": 1}
_HINT = "give --user and --password, or set FORGELET_USER and FORGELET_PASSWORD"


def hash_password(password: str) -> str:
    """`scrypt$SALT$HASH`, hexadecimal, with a new salt."""
    salt = secrets.token_bytes(16)
    return f"scrypt${salt.hex()}${_derive(password, salt).hex()}"


def _derive(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode("utf-8", "surrogatepass"), salt=salt, maxmem=64 << 20, **_COST)


def matches(password: str, stored: str) -> bool:
    """Whether `password` is the one that `stored` was made from."""
    _, salt, derived = stored.split("$")
    return hmac.compare_digest(_derive(password, bytes.fromhex(salt)), bytes.fromhex(derived))


class Authenticator:
    """Answers who an `Authorization` header, or a signature, is."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault
        self._key = secrets.token_bytes(32)
        self._known: set[bytes] = set()
        self._lock = threading.Lock()
        self._seeding: threading.Thread | None = None
        self._nobody = f"scrypt${'00' * 16}${'00' * 64}"

    def begin(self, login: str, password: str) -> None:
        """Seed the first user beside the rest of the start-up (hashing takes long); whoever logs in meanwhile waits for it."""
        self._seeding = threading.Thread(target=seed, args=(self._database, login, password), name="seed", daemon=True)
        self._seeding.start()

    def wait(self) -> None:
        """Until the first user is there."""
        if self._seeding is not None:
            self._seeding.join()

    def asking(self, scope: Scope) -> User:
        """Who a request is from, by its login or its signature. Raises `Unauthorized`, `Forbidden`."""
        given, query = header(scope, b"authorization"), scope["query_string"]
        if not given and b"signature=" in query:
            return self.signer(scope.get("raw_path", b"") + b"?" + query)
        return self.user(given)

    def user(self, header: str | None) -> User:
        """Raises `Unauthorized`, `Forbidden`; takes as long for a login that does not exist as for a wrong password."""
        login, password = _credentials(header)
        boss, backslash, target = login.partition("\\")
        if self._seeding is not None:
            self._seeding.join()
        user = self._find(boss)
        stored = user.password if user else self._nobody
        if not self._right(password, stored) or user is None:
            raise Unauthorized("the login or the password is wrong", hint=_HINT)
        return self._supervised(user, target) if backslash else user

    def agent(self, header: str | None) -> User:
        """The same for hammr's agent: in supervisor mode hammr starts it with alice's login and boss's password, without saying who
        boss is (PROTOCOL 5.3). Raises `Unauthorized`."""
        try:
            return self.user(header)
        except Unauthorized:
            login, password = _credentials(header)
            with self._database.read() as session:
                bosses = session.exec(select(User).where(User.admin)).all()
            for boss in bosses:
                if self._right(password, boss.password) and boss.login != login:
                    return self._supervised(boss, login)
            raise

    def signer(self, target: bytes) -> User:
        """Whose API key signed the raw request target. Raises `Unauthorized`."""
        signed, _, signature = target.rpartition(b"&signature=")
        # The client removes its base URL and one slash; a base with a slash at its end leaves another.
        text = re.sub(rb"^/+(api(?=/|\?|$))?/*", b"", signed)
        public = parse_qs(signed.partition(b"?")[2].decode("latin-1")).get("apiKey", [""])[-1]
        if self._seeding is not None:
            self._seeding.join()
        with self._database.read() as session:
            found = session.exec(select(ApiKey, User).where(ApiKey.public == public, ApiKey.user_id == User.id)).first()
        secret = self._vault.unseal(found[0].secret) if found else self._nobody
        wanted = base64.b64encode(hmac.digest(secret.encode(), text, "sha1"))
        if not hmac.compare_digest(wanted, unquote_to_bytes(signature)) or found is None:
            raise Unauthorized("the API key is unknown or the signature is wrong", hint="forgelet user key, then public and secret key as it prints them")
        return found[1]

    def _find(self, login: str) -> User | None:
        with self._database.read() as session:
            return session.exec(select(User).where(User.login == login)).first()

    def _supervised(self, boss: User, target: str) -> User:
        if not boss.admin:
            raise Forbidden(f"'{boss.login}' is no administrator and cannot act as '{target}'", hint=f"log in as '{boss.login}' alone")
        user = self._find(target)
        if user is None:
            raise Forbidden(f"there is no user '{target}' to act as", hint="forgelet user list")
        return user

    def _right(self, password: str, stored: str) -> bool:
        digest = hmac.digest(self._key, f"{stored}\0{password}".encode("utf-8", "surrogatepass"), "sha256")
        if digest in self._known:
            return True
        # One at a time: a burst of wrong passwords must not take all of the memory and all of the processors.
        with self._lock:
            right = matches(password, stored)
        if right:
            self._known.add(digest)
        return right


def _credentials(header: str | None) -> tuple[str, str]:
    scheme, _, rest = (header or "").partition(" ")
    if scheme.lower() != "basic":
        raise Unauthorized("this needs a login", hint=_HINT)
    try:
        login, colon, password = base64.b64decode(rest.strip(), validate=True).decode("utf-8").partition(":")
    except ValueError as error:
        raise Unauthorized("the Authorization header is not HTTP Basic", hint=_HINT) from error
    if not colon:
        raise Unauthorized("the Authorization header is not HTTP Basic", hint=_HINT)
    return login, password


def seed(database: Database, login: str, password: str) -> None:
    """The first user is there. He gets the password of the settings when it is another than at the last start; one that he chose stays."""
    with database.write() as session:
        user = session.exec(select(User).where(User.login == login)).first()
        if user is None:
            hashed = hash_password(password)
            user = User(login=login, password=hashed, seeded=hashed, created=stamp.now(), admin=True)
            session.add(user)
            session.flush()
            assert user.id is not None
            session.add(local_account(user.id, login))
            return
        user.admin = True
        if not user.seeded or not matches(password, user.seeded):
            user.password = user.seeded = hash_password(password)
