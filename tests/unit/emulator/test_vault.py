"""The key of the secrets at rest: changed, lost, read by others; and a change that breaks off anywhere."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet, InvalidToken
from sqlmodel import select

from emulator.control.rotation import SEALED, rotate
from emulator.resources.accounts import service as accounts
from emulator.resources.accounts.tables import CloudAccount
from emulator.storage.vault import Vault
from scanner.errors import UserError

ACCOUNTS = "/api/users/root/accounts"
ROTATION = "/_forgelet/secrets/rotation"
SECRETS = {f"cloud-{number}": f"open-sesame-{number}" for number in range(3)}


class Cut(BaseException):
    """The power goes."""


def keep(drive: Any, name: str, password: str) -> None:
    fields = {"glanceUrl": "http://g", "keystoneUrl": "http://k", "keystoneVersion": "v3", "login": "me", "password": password}
    made = drive.http.post(ACCOUNTS, json={"name": name, "targetPlatform": {"name": "OpenStack"}, **fields})
    assert made.status_code == 201, made.text


def opened(drive: Any, vault: Vault) -> dict[str, str]:
    """The passwords, as a process that starts now reads them."""
    with drive.service.database.read() as session:
        rows = session.exec(select(CloudAccount).where(CloudAccount.secrets != "")).all()
    return {row.name: json.loads(vault.unseal(row.secrets))["password"] for row in rows}


def keys(drive: Any) -> list[bytes]:
    told: bytes = drive.service.folders.secrets_key.read_bytes()
    return told.split()


@pytest.fixture
def kept(drive: Any) -> Any:
    for name, password in SECRETS.items():
        keep(drive, name, password)
    assert drive.http.post("/_forgelet/users/root/keys").status_code == 201
    return drive


def sealed(drive: Any) -> set[str]:
    with drive.service.database.read() as session:
        return {getattr(row, column) for table, column in SEALED for row in session.exec(select(table)).all() if getattr(row, column)}


def test_every_secret_is_sealed_anew_and_the_old_key_opens_none(kept: Any) -> None:
    [old], before = keys(kept), sealed(kept)
    told = kept.http.post(ROTATION)
    assert (told.status_code, told.json()) == (200, {"resealed": 4})
    [new], after = keys(kept), sealed(kept)
    assert new != old and not before & after and len(after) == 4
    assert kept.service.folders.secrets_key.stat().st_mode & 0o777 == 0o600
    for one in after:
        with pytest.raises(InvalidToken):
            Fernet(old).decrypt(one.encode())
        assert Fernet(new).decrypt(one.encode())
    assert opened(kept, Vault(kept.service.folders.secrets_key)) == opened(kept, kept.service.vault) == SECRETS
    keep(kept, "later", "one-more")
    assert opened(kept, Vault(kept.service.folders.secrets_key)) == {**SECRETS, "later": "one-more"}
    assert [path.name for path in kept.service.folders.data.iterdir() if path.name.startswith(".secrets")] == []


def test_a_change_that_breaks_off_anywhere_loses_nothing_and_the_next_one_finishes(kept: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before and after each deed that others can see."""
    deeds: list[tuple[Any, str]] = [(Path, "rename"), (os, "fsync"), (type(kept.service.database), "flush")]
    step = 0
    while _breaks_off(kept, monkeypatch, deeds, step):
        assert opened(kept, Vault(kept.service.folders.secrets_key)) == opened(kept, kept.service.vault) == SECRETS
        step += 1
    assert step == 16
    assert len(keys(kept)) == 1
    assert opened(kept, Vault(kept.service.folders.secrets_key)) == opened(kept, kept.service.vault) == SECRETS


def _breaks_off(kept: Any, monkeypatch: pytest.MonkeyPatch, deeds: list[tuple[Any, str]], step: int) -> bool:
    """Whether the change came to its `step`th moment, where it was cut."""
    left = step

    def moment() -> None:
        nonlocal left
        left -= 1
        if left == -1:
            raise Cut

    def broken(deed: Callable[..., Any]) -> Callable[..., Any]:
        def act(*given: Any, **named: Any) -> Any:
            moment()
            done = deed(*given, **named)
            moment()
            return done

        return act

    with monkeypatch.context() as patch:
        for owner, name in deeds:
            patch.setattr(owner, name, broken(getattr(owner, name)))
        try:
            assert rotate(kept.service) == 4
        except Cut:
            return True
    return False


def test_what_cannot_be_opened_stops_the_change_and_the_others_stay_readable(kept: Any) -> None:
    with kept.service.database.write() as session:
        session.exec(select(CloudAccount).where(CloudAccount.name == "cloud-1")).one().secrets = Fernet(Fernet.generate_key()).encrypt(b"{}").decode()
    told = kept.error(kept.http.post(ROTATION), 400)
    assert "bring the key file back" in told["hint"]
    with kept.service.database.write() as session:
        session.delete(session.exec(select(CloudAccount).where(CloudAccount.name == "cloud-1")).one())
    assert kept.http.post(ROTATION).json() == {"resealed": 3}
    assert set(opened(kept, Vault(kept.service.folders.secrets_key))) == {"cloud-0", "cloud-2"}


def test_accounts_that_are_kept_meanwhile_are_readable_afterwards(kept: Any) -> None:
    stop, made = threading.Event(), []

    def others() -> None:
        while not stop.is_set():
            name = f"more-{len(made)}"
            keep(kept, name, f"secret of {name}")
            made.append(name)

    thread = threading.Thread(target=others)
    thread.start()
    try:
        for _ in range(5):
            rotate(kept.service)
    finally:
        stop.set()
        thread.join()
    assert made
    assert opened(kept, Vault(kept.service.folders.secrets_key)) == {**SECRETS, **{name: f"secret of {name}" for name in made}}


def test_a_process_that_read_the_old_key_opens_what_the_new_one_sealed(kept: Any) -> None:
    job = Vault(kept.service.folders.secrets_key)
    assert opened(kept, job) == SECRETS
    rotate(kept.service)
    assert opened(kept, job) == SECRETS


def test_only_an_administrator_changes_the_key(kept: Any) -> None:
    kept.http.post("/_forgelet/users", json={"login": "alice", "password": "secret"})
    before = keys(kept)
    kept.error(kept.http.post(ROTATION, auth=("alice", "secret")), 403)
    assert keys(kept) == before


def test_a_key_that_others_can_read_is_not_used(kept: Any) -> None:
    path = kept.service.folders.secrets_key
    path.chmod(0o640)
    with pytest.raises(UserError, match="can be read by others") as refused:
        opened(kept, Vault(path))
    assert "chmod 600" in refused.value.hint
    path.chmod(0o600)
    assert opened(kept, Vault(path)) == SECRETS


@pytest.mark.parametrize("content", [b"", b"no key", b"A" * 43 + b"="], ids=["empty", "none", "another"])
def test_another_key_file_is_named(kept: Any, content: bytes) -> None:
    path = kept.service.folders.secrets_key
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"secrets\.key"):
        opened(kept, Vault(path))


def test_secrets_of_an_account_are_opened_for_its_owner_only(kept: Any) -> None:
    kept.http.post("/_forgelet/users", json={"login": "alice", "password": "secret"})
    with kept.service.database.read() as session:
        mine = session.exec(select(CloudAccount).where(CloudAccount.name == "cloud-0")).one()
    assert accounts.secrets(kept.service, mine) == {"password": SECRETS["cloud-0"]}
    kept.error(kept.http.get(f"/api/users/alice/accounts/{mine.id}", auth=("alice", "secret")), 404)
