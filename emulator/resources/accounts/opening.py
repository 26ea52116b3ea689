"""An account's way into its cloud, secrets in clear: for the call or job that logs in, and nobody else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from emulator.errors import NotYet
from emulator.resources.accounts.tables import CloudAccount
from emulator.storage.vault import Vault

if TYPE_CHECKING:
    from builders.clouds.base import Account, Cloud
    from emulator.service import Service


ANSWER = 50.0
"""Seconds that a request may take in which a cloud is asked: before clients give up and blame the service."""


def opening(vault: Vault, row: CloudAccount, asked: Mapping[str, Any], patience: float | None = None) -> Account:
    """What opens the cloud; `asked` names domain and project, which accounts of UForge have not. `patience` is the account's, in seconds."""
    from builders.clouds.base import Account

    scope = {key: asked[key] for key in ("keystoneDomain", "keystoneProject") if asked.get(key)}
    secrets = json.loads(vault.unseal(row.secrets)) if row.secrets else {}
    return Account(row.name, row.kind, {**row.fields, **scope}, secrets, patience)


def cloud_of(here: Service, row: CloudAccount, asked: Mapping[str, Any], patience: float | None = None) -> Cloud:
    """The cloud of an account. Raises `UserError`."""
    return here.rooms.cloud(opening(here.vault, row, asked, patience), here.folders.cloud)


def reachable(account: CloudAccount) -> None:
    """Raises `NotYet` for an account of a kind of cloud that Forgelet does not speak to."""
    if account.platform != "OpenStack":
        raise NotYet(
            f"account '{account.name}' is one of {account.platform}, which Forgelet keeps but does not speak to; nothing was sent",
            hint="accounts of OpenStack, and `local`, can be published to",
        )
