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


def opening(vault: Vault, row: CloudAccount, asked: Mapping[str, Any]) -> Account:
    """What opens the cloud; `asked` names domain and project, which accounts of UForge have not."""
    from builders.clouds.base import Account

    scope = {key: asked[key] for key in ("keystoneDomain", "keystoneProject") if asked.get(key)}
    secrets = json.loads(vault.unseal(row.secrets)) if row.secrets else {}
    return Account(row.name, row.kind, {**row.fields, **scope}, secrets)


def cloud_of(here: Service, row: CloudAccount, asked: Mapping[str, Any]) -> Cloud:
    """The cloud of an account. Raises `UserError`."""
    return here.rooms.cloud(opening(here.vault, row, asked), here.folders.cloud)


def reachable(account: CloudAccount) -> None:
    """Raises `NotYet` for an account of a kind of cloud that Forgelet does not speak to."""
    if account.platform != "OpenStack":
        raise NotYet(
            f"account '{account.name}' is one of {account.platform}, which Forgelet keeps but does not speak to; nothing was sent",
            hint="accounts of OpenStack, and `local`, can be published to",
        )
